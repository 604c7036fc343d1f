//! Grants to send requests.

use super::{Upstream, caller, get, http};
use crate::harness::{Server, guest};

#[test]
fn a_missing_http_grant_is_explained() {
    let upstream = Upstream::start();
    let server = caller(&[http(upstream.address)], "");
    let models = server.models();
    // The same component is compiled already for the model that has the grant.
    models.bare("bare", guest("http-caller"));
    models.settings("empty", "[capabilities]\nhttp = []");
    models.version("empty", 1, guest("http-caller"));
    for name in ["bare", "empty"] {
        let reason = reason(&server, name, "validate: ");
        for words in ["'wasi:http/", "not granted", "model.toml", "[capabilities] http = ["] {
            assert!(reason.contains(words), "'{words}' is missing in {reason}");
        }
    }
    assert_eq!(get(&server, upstream.address, "/").status, 200);
}

#[test]
fn a_changed_grant_applies_to_serving_models() {
    let (first, second) = (Upstream::start(), Upstream::start());
    let server = caller(&[http(first.address)], "");
    assert_eq!(get(&server, second.address, "/").status, 0);
    server
        .models()
        .settings("http-caller", &format!("[capabilities]\nhttp = ['{}']", http(second.address)));
    crate::harness::until("the new grant", || get(&server, second.address, "/").status == 200);
    assert_eq!(get(&server, first.address, "/").status, 0);
}

#[test]
fn load_cannot_send_requests() {
    let upstream = Upstream::start();
    let server = Server::with_models(|models| {
        let origin = http(upstream.address);
        let ask = format!("GET http {} /", upstream.address);
        let settings =
            format!("[capabilities]\nhttp = ['{origin}']\nconfig = {{ ask_in_load = '{ask}' }}");
        models.settings("http-caller", &settings);
        models.version("http-caller", 1, guest("http-caller"));
    });
    let server = server.start();
    let reason = reason(&server, "http-caller", "load: ");
    assert!(reason.contains("a model cannot send requests while it loads"), "{reason}");
    assert_eq!(upstream.made(), 0);
}

/// Waits until a model is refused at a stage, and returns the reason.
fn reason(server: &Server, model: &str, stage: &str) -> String {
    server.until_refused(model, 1, stage);
    server.entry(model, 1).unwrap().reason
}
