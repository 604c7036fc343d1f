//! Outputs that a caller requests.

use serde_json::{Value, json};

use super::{MANY, has_never_tripped, one, two_scripted_models};

fn names(answer: &Value) -> Vec<&str> {
    answer["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|output| output["name"].as_str().unwrap())
        .collect()
}

#[test]
fn a_missing_optional_output_is_no_fault() {
    let server = two_scripted_models("").start();
    server.until_ready("model", 2);
    for _ in 0..MANY {
        for (wanted, given) in [
            (&["sum"][..], &[][..]),
            (&["version", "sum"], &["version"]),
            (&["flag", "text", "calls"], &["calls"]),
        ] {
            let outputs: Vec<_> = wanted.iter().map(|name| json!({ "name": name })).collect();
            let answer =
                server.infer("model", &json!({ "inputs": [], "outputs": outputs })).ok().json();
            assert_eq!(names(&answer), given, "{wanted:?}");
        }
    }
    has_never_tripped(&server);
    assert_eq!(server.version_of("model"), 2, "nothing was rolled back");
}

#[test]
fn batched_requests_leave_no_blame_either() {
    for guest in ["batcher", "side-by-side"] {
        let server = one(guest, "[batching]\nmax_queue_delay = '20ms'\n");
        let word = json!({ "name": "word", "datatype": "BYTES", "shape": [1], "data": ["good"] });
        let body = json!({ "inputs": [word], "outputs": [{ "name": "sum" }, { "name": "word" }] });
        let call = || server.call("POST", "/v2/models/model/infer").json(&body).begin();
        let pending: Vec<_> = (0..MANY).map(|_| call()).collect();
        for answer in pending {
            assert_eq!(names(&answer.answer().ok().json()), ["word"], "{guest}");
        }
        has_never_tripped(&server);
    }
}

#[test]
fn an_unknown_output_is_the_callers_mistake() {
    let server = one("scripted", "");
    for _ in 0..MANY {
        let body = json!({ "inputs": [], "outputs": [{ "name": "verzion" }] });
        server.infer("model", &body).refused(400, "invalid_input");
    }
    has_never_tripped(&server);
}

#[test]
fn an_output_json_cannot_hold_is_no_fault() {
    let server = one("scripted", "");
    for _ in 0..MANY {
        for word in ["nan", "not-utf8"] {
            server.behave("model", word).refused(500, "model_bad_output");
            server.generate("model", &json!({ "behave": word })).refused(500, "model_bad_output");
            server
                .begin_stream("model", &json!({ "behave": word }))
                .answer()
                .refused(500, "model_bad_output");
        }
    }
    has_never_tripped(&server);
}
