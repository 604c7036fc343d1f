//! Parameters that are arrays, and 64-bit numbers.

use serde_json::{Value, json};

use crate::harness::{Server, guest};

fn serving(name: &str) -> Server {
    let server = Server::with_models(|models| models.bare("model", guest(name))).start();
    server.until_ready("model", 1);
    server
}

#[test]
fn an_array_parameter_is_passed_as_json() {
    // The model returns its parameter `tone`.
    let server = serving("batcher");
    for (list, text) in [
        (json!(["a", "b\"c"]), r#"["a","b\"c"]"#),
        (json!([1, 2.5, -3, true]), "[1,2.5,-3,true]"),
        (json!([]), "[]"),
    ] {
        for body in [
            json!({ "word": "good", "tone": list }),
            json!({ "word": "good", "parameters": { "tone": list } }),
        ] {
            assert_eq!(server.generate("model", &body).ok().json()["tone"], text, "{body}");
        }
        assert_eq!(
            server.stream("model", &json!({ "word": "good", "tone": list })).all()[0]["tone"],
            text
        );
    }
    for wrong in [json!([["a"]]), json!([{}]), json!([null])] {
        let refused = server.generate("model", &json!({ "word": "good", "tone": wrong }));
        assert!(refused.refused(400, "invalid_input").text().contains("'tone'"), "{refused}");
    }
    for reserved in ["timeout", "priority", "sequence_id"] {
        let refused = server.generate("model", &json!({ "word": "good", reserved: [1] }));
        assert!(refused.refused(400, "invalid_input").text().contains(reserved), "{refused}");
    }
}

/// Returns the same request in both forms, with one more parameter whose value is this JSON text.
fn ask_with(server: &Server, name: &str, value: &str) -> [crate::harness::Response; 2] {
    let infer = format!(r#"{{"inputs": [], "parameters": {{"{name}": {value}}}}}"#);
    let generate = format!(r#"{{"{name}": {value}}}"#);
    let send = |verb: &str, body: String| {
        server.call("POST", &format!("/v2/models/model/{verb}")).body(body).send()
    };
    [send("infer", infer), send("generate", generate)]
}

#[test]
fn protocol_numbers_are_unsigned_64_bit() {
    let server = serving("scripted");
    for name in ["timeout", "priority", "sequence_id"] {
        for value in ["0", "9223372036854775808", "18446744073709551615"] {
            ask_with(&server, name, value)
                .iter()
                .for_each(|answer| assert_eq!(answer.status, 200, "{answer}"));
        }
        for wrong in ["-1", "1.5", "1e3", "18446744073709551616", "true", "{}", &"9".repeat(100)] {
            for answer in ask_with(&server, name, wrong) {
                let text = answer.refused(400, "invalid_input").text();
                assert!(text.contains(&format!("'{name}'")), "{name} {wrong}: {text}");
            }
        }
    }
    // A text names a sequence and is invalid for the other parameters.
    ask_with(&server, "sequence_id", "\"1\"")
        .iter()
        .for_each(|answer| assert_eq!(answer.status, 200, "{answer}"));
    for name in ["timeout", "priority"] {
        for answer in ask_with(&server, name, "\"1\"") {
            answer.refused(400, "invalid_input");
        }
    }
}

#[test]
fn a_number_and_its_text_name_one_session() {
    let server = serving("session-words");
    let ask = |id: Value, start: bool, orders: &str| {
        let parameters = json!({ "sequence_id": id, "sequence_start": start, "do": orders });
        let answer = server.infer("model", &json!({ "inputs": [], "parameters": parameters }));
        answer.output("state")[0].as_str().unwrap().to_owned()
    };
    for id in [1, (1 << 53) + 1, i64::MAX as u64 + 1, u64::MAX] {
        assert_eq!(ask(json!(id), true, "say a"), "a");
        assert_eq!(ask(json!(id.to_string()), false, "say b"), "a b");
        assert_eq!(ask(json!(id), false, ""), "a b");
    }
    // The number does not pass through a floating-point number.
    ask(json!(1_u64 << 53), true, "say other");
    assert_eq!(ask(json!((1_u64 << 53) + 1), false, ""), "a b");
    ask(json!("01"), true, "say other");
    assert_eq!(ask(json!(1), false, ""), "a b");
}
