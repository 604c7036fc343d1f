//! Validation: `load` cannot store values, and trial calls find and leave no values.

use super::{GRANT, ask, ask_one, operations, server};
use crate::harness::{Server, guest, until};
use serde_json::json;

#[test]
fn load_cannot_store_values() {
    let server = Server::with_models(|models| {
        let settings = format!("{GRANT}config = {{ in_load = \"set\\tb\\tk\\t1\" }}");
        models.settings("key-value-operations", &settings);
        models.version("key-value-operations", 1, guest("key-value-operations"));
    });
    let server = server.start();
    server.until_refused("key-value-operations", 1, "key-value cannot be used while a model loads");
}

#[test]
fn warm_up_uses_an_empty_store() {
    let server = server();
    ask_one(&server, "set b k live");
    // The warm-up fails on the live value, which is not a number; in validation there is no value.
    let settings = format!("{GRANT}config = {{ in_warm_up = \"increment\\tb\\tk\\t1\" }}");
    server.models().settings("key-value-operations", &settings);
    server.models().version("key-value-operations", 2, guest("key-value-operations"));
    server.until_ready("key-value-operations", 2);
    assert_eq!(ask(&server, &["get b k", "list b"]), ["live", "k"]);
}

#[test]
fn golden_requests_ignore_stored_values() {
    let server = server();
    ask_one(&server, "increment b n 41");
    // The same request twice: neither sees the other's changes, nor the stored values.
    let request = operations(&["increment b n 1", "increment b n 1", "list b"]);
    let outputs =
        json!([{ "name": "said", "datatype": "BYTES", "shape": [3], "data": ["1", "2", "n"] }]);
    let case = json!({ "request": request, "response": { "outputs": outputs } });
    let golden = json!({ "cases": [case, case] });
    server.models().put("key-value-operations/2/golden.json", golden.to_string());
    server.models().version("key-value-operations", 2, guest("key-value-operations"));
    server.until_ready("key-value-operations", 2);
    assert_eq!(ask_one(&server, "increment b n 1"), "42");
}

#[test]
fn a_validated_instance_serves_with_stored_values() {
    let server = server();
    ask_one(&server, "set b k live");
    let pooled =
        format!("isolation = 'pooled'\n{GRANT}config = {{ in_warm_up = \"set\\tb\\tk\\ttried\" }}");
    server.models().settings("key-value-operations", &pooled);
    until("that it is pooled", || {
        server.config_of("key-value-operations")["wardian"]["isolation"] == "pooled"
    });
    assert_eq!(ask_one(&server, "get b k"), "live");
}
