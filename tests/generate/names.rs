//! Inputs and outputs whose names are also names of the protocol.

use serde_json::{Value, json};

use crate::harness::{Response, Server, guest_folder};

fn notes() -> Server {
    let server = Server::with_models(|models| {
        models.settings("notes", "[capabilities]\nsql = true");
        models.copy_folder(&guest_folder("notes"), "notes/1");
    });
    let server = server.start();
    server.until_ready("notes", 1);
    server
}

/// Returns the response, and asserts that each key occurs once.
#[track_caller]
fn once(answer: &Response) -> Value {
    let text = answer.ok().text();
    let json = answer.json();
    for key in json.as_object().unwrap().keys() {
        assert_eq!(text.matches(&format!("\"{key}\":")).count(), 1, "{text}");
    }
    json
}

#[test]
fn a_models_own_id_tensors_win() {
    let server = notes();
    let made = once(&server.generate("notes", &json!({ "action": "create", "text": "water" })));
    assert_eq!(
        (&made["id"], &made["text"], &made["done"]),
        (&json!(1), &json!("water"), &json!(false))
    );
    let done = once(&server.generate("notes", &json!({ "id": 1, "action": "complete" })));
    assert_eq!((&done["id"], &done["done"]), (&json!(1), &json!(true)));
    let stands_in_parameters = json!({ "parameters": { "id": 1, "action": "delete" } });
    once(&server.generate("notes", &stands_in_parameters));
    let none = once(&server.generate("notes", &json!({})));
    assert_eq!((&none["id"], &none["model_name"]), (&json!([]), &json!("notes")));
    for verb in ["generate", "generate_stream"] {
        let path = format!("/v2/models/notes/{verb}");
        let wrong = server.post(&path, &json!({ "id": "req-1", "action": "list" }));
        assert!(wrong.refused(400, "invalid_input").text().contains("input 'id'"), "{wrong}");
    }
    let events = server.stream("notes", &json!({ "action": "list" })).all();
    assert_eq!((events.len(), &events[0]["id"]), (1, &json!([])));
}

#[test]
fn a_misspelt_input_is_named() {
    let server = notes();
    for verb in ["generate", "generate_stream"] {
        let ask = |body: Value| server.post(&format!("/v2/models/notes/{verb}"), &body);
        for (body, meant) in [
            (json!({ "actoin": "list" }), "'action'"),
            (json!({ "Action": "list" }), "'action'"),
            (json!({ "parameters": { "acton": "list" } }), "'action'"),
            (json!({ "action": "create", "txet": "water" }), "'text'"),
        ] {
            let wrong = ask(body.clone());
            let text = wrong.refused(400, "invalid_input").text();
            assert!(text.contains(&format!("did you mean {meant}?")), "{body}: {text}");
        }
    }
    // Other keys are parameters.
    server.generate("notes", &json!({ "action": "list", "temperature": 1 })).ok();
}
