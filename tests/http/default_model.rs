//! `default_model`: the model of `POST /invocations` when the request names none.

use serde_json::json;

use crate::harness::{Models, Response, Server, scripted};

fn two_models(models: &Models) {
    models.bare("first", scripted("version=1"));
    models.bare("second", scripted("version=2"));
}

fn invoke(server: &Server, header: (&str, &str)) -> Response {
    server
        .call("POST", "/invocations")
        .header(header.0, header.1)
        .json(&json!({ "inputs": [] }))
        .send()
}

#[test]
fn a_request_without_model_uses_the_default() {
    const NAMES: &str = "x-amzn-sagemaker-target-model";
    let server = Server::with_models(two_models).config("default_model = 'first'").start();
    server.until_tried();
    assert_eq!(invoke(&server, ("accept", "*/*")).number("version"), 1);
    assert_eq!(invoke(&server, (NAMES, "second")).number("version"), 2);
    let server = server.stop().argument("--default-model").argument("second").start();
    server.until_tried();
    assert_eq!(
        invoke(&server, ("accept", "*/*")).number("version"),
        2,
        "the command line goes first"
    );
    let server = Server::with_models(two_models).start();
    server.until_tried();
    invoke(&server, ("accept", "*/*")).refused(400, "invalid_input");
}
