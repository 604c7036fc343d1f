//! Origins that a tenant's models may call, whatever their own settings say.

use serde_json::{Value, json};

use super::{EAGER, setup, tenant, until_known, write};
use crate::egress::upstream::Upstream;
use crate::harness::{Server, Tenant, guest, until};

fn grants(origin: &str) -> String {
    tenant("a", "a", &format!("[grants]\nhttp = ['{origin}']"))
}

/// Returns the status that the model received from the server, or its error.
fn called(holder: &Tenant<'_>, upstream: &Upstream) -> Value {
    let ask = format!("GET http {} /", upstream.address);
    let asks = json!({ "name": "asks", "datatype": "BYTES", "shape": [1], "data": [ask] });
    let answer = holder.infer("http-caller", &json!({ "inputs": [asks] }));
    let status = answer.output("status")[0].clone();
    if status == 0 { answer.output("text")[0].clone() } else { status }
}

#[test]
fn a_tenants_grant_changes_at_run_time() {
    let upstream = Upstream::start();
    let origin = format!("http://{}", upstream.address);
    let setup = setup(EAGER);
    let folder = setup.repository("tenants");
    write(&folder, "a", &tenant("a", "a", ""));
    let models = setup.repository("a");
    models.settings("http-caller", &format!("[capabilities]\nhttp = ['{origin}']"));
    models.version("http-caller", 1, guest("http-caller"));
    let server: Server = setup.start();
    let a = server.holder("a");
    until_known(&a);
    a.until_refused(
        "http-caller",
        1,
        &format!("quota: capabilities.http: this tenant's models may not call {origin}"),
    );
    a.until_refused("http-caller", 1, "the operator can list it in the tenant's grants");
    assert_eq!(upstream.made(), 0);

    write(&folder, "a", &grants(&origin));
    a.until_ready("http-caller", 1);
    assert_eq!(called(&a, &upstream), 200);

    // A grant for another origin does not help.
    write(&folder, "a", &grants("http://127.0.0.1:1"));
    until("that the grant is gone", || called(&a, &upstream) == "ErrorCode::HttpRequestDenied");
    let made = upstream.heads().len();
    assert_eq!(called(&a, &upstream), "ErrorCode::HttpRequestDenied");
    assert_eq!(upstream.heads().len(), made);
    server.until_logged(&format!("refused GET {origin}"));

    write(&folder, "a", &grants(&origin));
    until("that the grant is back", || called(&a, &upstream) == 200);
}
