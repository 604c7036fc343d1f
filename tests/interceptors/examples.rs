//! The example interceptors, in front of example models.

use serde_json::json;

use super::{indexed, parameter};
use crate::harness::{Server, guest, guest_folder, scripted, until};

/// Starts a server with `upper` behind these interceptors.
fn upper_behind(names: &[&str]) -> Server {
    let server = Server::with_models(|models| {
        models.copy_folder(&guest_folder("upper"), "upper/1");
        names.iter().for_each(|name| models.bare(&indexed(name), guest(name)));
    })
    .start();
    server.until_ready("upper", 1);
    server
}

#[test]
fn personal_data_does_not_reach_a_model() {
    let server = upper_behind(&["redact"]);
    let texts = [
        "Please write to jane.doe@mail.example or call +49 171 2345678.",
        "My account is DE89 3704 0044 0532 0130 00, my card 4111 1111 1111 1111.",
        "Order 2024-17 has 3 parts.",
    ];
    let input = json!({ "name": "text", "datatype": "BYTES", "shape": [3], "data": texts });
    let answer = server.infer("upper", &json!({ "inputs": [input] }));
    let becomes = [
        "PLEASE WRITE TO [E-MAIL] OR CALL [PHONE].",
        "MY ACCOUNT IS [IBAN], MY CARD [CARD].",
        "ORDER 2024-17 HAS 3 PARTS.",
    ];
    assert_eq!(answer.output("text"), becomes);
}

#[test]
fn a_call_is_measured() {
    let server = upper_behind(&["measure", "redact"]);
    let input =
        json!({ "name": "text", "datatype": "BYTES", "shape": [1], "data": ["a@b.example"] });
    let answer = server.infer("upper", &json!({ "inputs": [input] }));
    let measured = answer.ok().json()["parameters"]["measured_ms"].as_i64();
    assert!(measured.is_some_and(|took| (0..60_000).contains(&took)), "{answer}");
    server.until_logged("upper version 1 took");
    let lines = server.get("/v2/logs?model=interceptors%2Fmeasure").ok().text();
    assert!(lines.contains("15 bytes in, 12 bytes out"), "{lines}");
    assert_eq!(parameter(&answer, "nothing"), "");
}

#[test]
fn a_long_call_is_measured() {
    let server = Server::with_models(|models| {
        models.bare("scripted", scripted(""));
        models.bare(&indexed("measure"), guest("measure"));
    })
    .start();
    server.until_ready("scripted", 1);
    let answer = server.behave("scripted", "sleep:50");
    // Each of the two readings may be off by one step of the clock.
    let measured = answer.ok().json()["parameters"]["measured_ms"].as_i64();
    assert!(measured.is_some_and(|took| (49..60_000).contains(&took)), "{answer}");
}

#[test]
fn without_a_rule_every_caller_is_refused() {
    let server = upper_behind(&["caller-rule"]);
    let input = json!({ "name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"] });
    let ask = || server.infer("upper", &json!({ "inputs": [input] }));
    ask().refused(403, "rejected_by_interceptor");
    server.models().remove("interceptors/caller-rule.wasm");
    until("that anybody may", || ask().status == 200);
}
