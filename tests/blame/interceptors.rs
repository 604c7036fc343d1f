//! Faults of interceptors.

use serde_json::{Value, json};
use wardian::model::Digest;

use super::{BREAKER, FAULTS, MANY};
use crate::harness::{Response, Server, scripted, scripted_interceptor};

fn behind_a_gate(config: &str) -> Server {
    let setup = Server::with_models(|models| {
        models.settings("model", BREAKER);
        models.version("model", 1, scripted("version=1"));
        models.settings("interceptors/scripted-interceptor", BREAKER);
        models.version(
            "interceptors/scripted-interceptor",
            1,
            scripted_interceptor("name=scripted-interceptor"),
        );
    });
    setup.config(config).start()
}

fn body(before: &str) -> Value {
    json!({ "inputs": [], "parameters": { "before": before } })
}

#[test]
fn an_interceptors_fault_is_not_the_models() {
    let server = behind_a_gate("");
    server.until_ready("model", 1);
    let ask = |word: &str| server.infer("model", &body(word));
    for _ in 1..FAULTS {
        for _ in 1..FAULTS {
            ask("trap").refused(500, "interceptor_failed");
        }
        ask("").ok();
        ask("reject:403:no").refused(403, "rejected_by_interceptor");
    }
    assert_eq!(server.config_of("model")["wardian"]["suspended"], false);
    for _ in 0..MANY {
        ask("reject:403:no").refused(403, "rejected_by_interceptor");
    }
    ask("").ok();
}

#[test]
fn an_invalid_request_is_not_the_interceptors_fault() {
    let server = behind_a_gate("");
    server.until_ready("model", 1);
    for _ in 0..MANY {
        let x = json!({ "name": "x", "datatype": "FP64", "shape": [1, 3], "data": [1, 2, 3] });
        server.infer("model", &json!({ "inputs": [x] })).refused(400, "invalid_input");
        let wanted = json!({ "inputs": [], "outputs": [{ "name": "sum" }] });
        server.infer("model", &wanted).ok();
    }
    server.infer("model", &body("")).ok();
}

#[test]
fn one_caller_cannot_disable_an_interceptor() {
    let key = |text: &str, scope: &str| {
        format!(
            "{{ id = '{text}', sha256 = '{}', scopes = ['{scope}'] }}",
            Digest::sha256(text.as_bytes())
        )
    };
    let keys = [key("one", "infer"), key("other", "infer"), key("operator", "manage")].join(", ");
    let server = behind_a_gate(&format!("[tenants.default]\nkeys = [{keys}]\n"));
    server.holder("operator").until_ready("model", 1);
    let ask =
        |key: &str, word: &str| -> Response { server.holder(key).infer("model", &body(word)) };
    for _ in 0..FAULTS {
        ask("one", "trap").refused(500, "interceptor_failed");
    }
    ask("one", "").refused(503, "model_not_ready");
    for _ in 0..MANY {
        ask("other", "").ok();
    }
}
