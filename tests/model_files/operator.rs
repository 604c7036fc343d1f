//! Runtimes in the operator's folder.

use serde_json::json;
use wardian::repository::RuntimeCatalog;

use super::{index_line, lightgbm, until_multiplies, until_predicts};
use crate::harness::{Server, Setup, multiplier, until};

/// A server that looks at its folders often.
fn setup() -> Setup {
    let config = "poll_interval = '50ms'\nrescan_interval = '200ms'\n";
    Server::with_models(|models| models.put("a/1/model.factor", "3")).config(config)
}

#[test]
fn a_runtime_serves_as_soon_as_it_is_dropped() {
    let server = setup().start();
    server.until_refused("a", 1, "no model.wasm or model file in it yet");

    let runtimes = server.repository("runtimes");
    runtimes.put("multiplier.wasm", multiplier("1"));
    until_multiplies(&server, "a", 31);
    let runtime = index_line(&server, "a")["runtime"].clone();
    assert_eq!((&runtime["name"], &runtime["format"]), (&json!("multiplier"), &json!("factor")));

    server.models().put("b.factor", "7");
    until_multiplies(&server, "b", 71);
    runtimes.put("multiplier.wasm", multiplier("2"));
    until_multiplies(&server, "a", 32);
    until_multiplies(&server, "b", 72);
    assert_ne!(index_line(&server, "a")["runtime"]["digest"], runtime["digest"]);
}

#[test]
fn a_bad_runtime_leaves_the_old_one_serving() {
    let setup = setup();
    let runtimes = setup.repository("runtimes");
    runtimes.put("multiplier.wasm", multiplier("1"));
    let server = setup.start();
    until_multiplies(&server, "a", 31);

    runtimes.put("multiplier.wasm", multiplier("fail"));
    server.until_entry("a", 1, "a load failure", |entry| {
        entry.state == "READY" && entry.reason.contains("this multiplier is broken")
    });
    until_multiplies(&server, "a", 31);

    runtimes.put("multiplier.wasm", "no component");
    server.until_logged("not a usable runtime");
    runtimes.put("multiplier.wasm", multiplier("4"));
    until_multiplies(&server, "a", 34);

    runtimes.put("misnamed.wasm", multiplier("9"));
    server.until_logged("it declares the name 'multiplier'; rename the file to multiplier.wasm");
    until_multiplies(&server, "a", 34);

    // Nothing replaces it, so what serves stays, as with any fault.
    runtimes.remove("multiplier.wasm");
    server.until_entry("a", 1, "a fault", |entry| {
        entry.reason.contains("no model.wasm or model file")
    });
    until_multiplies(&server, "a", 34);
}

#[test]
fn a_tenant_is_limited_to_listed_runtimes() {
    let setup = Server::with_models(|_| {}).config(
        "[tenants.default]\n[tenants.free]\nrepository = 'free'\n\
         [tenants.bound]\nrepository = 'bound'\nruntimes = ['multiplier']\n",
    );
    setup.repository("runtimes").put("multiplier.wasm", multiplier("1"));
    for tenant in ["free", "bound"] {
        setup.repository(tenant).put("factors/1/model.factor", "2");
        setup.repository(tenant).put("rent/1/model.txt", lightgbm(1));
    }
    let server = setup.start();
    let (free, bound) = (server.tenant("free"), server.tenant("bound"));
    free.until_ready("factors", 1);
    free.until_ready("rent", 1);
    bound.until_ready("factors", 1);
    bound.until_refused("rent", 1, "the runtime 'tabular' may not serve this tenant's model files");
    bound.until_refused("rent", 1, "`runtimes`");
}

#[test]
fn the_folder_can_be_elsewhere_and_replaces_an_embedded_runtime() {
    let setup = Server::with_models(|models| models.put("rent/1/model.txt", lightgbm(1)))
        .config("poll_interval = '50ms'\n[runtimes]\ndir = 'elsewhere'\n");
    let server = setup.start();
    until_predicts(&server, "rent", 1.0);
    let embedded = index_line(&server, "rent")["runtime"]["digest"].clone();

    let runtime = RuntimeCatalog::embedded().for_format("lightgbm").unwrap();
    let mut replaced = runtime.component().to_vec();
    // A custom section of one byte at its end makes it another component.
    replaced.extend([0, 2, 1, b'x']);
    server.repository("elsewhere").put("tabular.wasm", replaced);
    until("the operator's runtime", || {
        let line = index_line(&server, "rent");
        line["state"] == "READY" && line["runtime"]["digest"] != embedded
    });
    until_predicts(&server, "rent", 1.0);
    server.repository("elsewhere").remove("tabular.wasm");
    until("the embedded runtime", || index_line(&server, "rent")["runtime"]["digest"] == embedded);
}
