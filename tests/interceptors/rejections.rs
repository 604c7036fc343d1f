//! Calls that an interceptor rejects.

use serde_json::json;

use super::{ask, with_interceptors};

#[test]
fn a_refusal_has_a_status_and_a_message() {
    let server = with_interceptors(&["a", "b"]);
    for (status, is) in [(400, 400), (402, 402), (418, 418), (429, 429), (499, 499), (503, 503)] {
        let answer = ask(&server, &json!({ "before": format!("reject:{status}:not today") }));
        answer.refused(is, "rejected_by_interceptor");
        assert!(answer.text().contains("not today"), "{answer}");
    }
    assert_eq!(ask(&server, &json!({ "before": "reject:503:x" })).header("retry-after"), Some("1"));
}

#[test]
fn a_rejection_cannot_imitate_other_errors() {
    let server = with_interceptors(&["a"]);
    for status in [0, 1, 100, 200, 204, 301, 399, 500, 502, 504, 600, 65535] {
        let answer = ask(&server, &json!({ "before": format!("reject:{status}:x") }));
        answer.refused(403, "rejected_by_interceptor");
    }
    let forged = ask(&server, &json!({ "before": "forge" }));
    let text =
        forged.refused(403, "rejected_by_interceptor").json()["error"].as_str().unwrap().to_owned();
    assert!(text.len() < 4000 && !text.contains(char::is_control), "{} bytes", text.len());
}

#[test]
fn a_rejection_ends_the_chain() {
    let server = with_interceptors(&["a", "b"]);
    ask(&server, &json!({})).ok();
    let asked =
        || server.metric("wardian_requests_total{tenant=\"default\",model=\"interceptors/b\"");
    let before = asked();
    ask(&server, &json!({ "before": "reject:403:x" })).refused(403, "rejected_by_interceptor");
    assert_eq!((before, asked()), (Some(2.0), Some(2.0)));
}

#[test]
fn an_invalid_request_is_the_callers_fault() {
    let server = with_interceptors(&["a"]);
    let unknown =
        json!({ "inputs": [{ "name": "z", "datatype": "FP64", "shape": [1], "data": [1] }] });
    server.infer("scripted", &unknown).refused(400, "invalid_input");
    server
        .infer("scripted", &json!({ "inputs": [], "outputs": [{ "name": "z" }] }))
        .refused(400, "invalid_input");
}
