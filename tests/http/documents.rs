//! `GET /openapi.json`: what it says of answers is what they are.

use serde_json::{Value, json};

use crate::harness::{Response, Server, guest, until};

pub(super) fn check(server: &Server) {
    let document = server.get("/openapi.json").ok().json();
    let said = |path: &str, answer: &Response| held_against(&document, ["GET", path], answer);
    for path in [
        "/",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models",
        "/v2/models/stats",
        "/v2/keyvalue",
        "/v2/tasks",
        "/v2/usage",
        "/v2/logs",
        "/v2/tenants",
        "/ping",
        "/metrics",
    ] {
        said(path, &server.get(path));
    }
    for what in ["", "/ready", "/config", "/stats", "/sessions"] {
        let of = |model: &str| format!("/v2/models/{model}{what}");
        said(&of("{model}"), &server.get(&of("upper")));
        said(&of("{model}"), &server.get(&of("nobody")));
    }
    let posted = |path: &str, at: &str, body: &Value| held_against(&document, ["POST", path], &server.post(at, body));
    for (verb, body) in [("infer", super::upper(&["a"])), ("generate", json!({ "text": "a" }))] {
        posted(&format!("/v2/models/{{model}}/{verb}"), &format!("/v2/models/upper/{verb}"), &body);
    }
    posted("/v2/repository/index", "/v2/repository/index", &json!({}));
    posted("/v2/repository/{repository}/index", "/v2/repository/mine/index", &json!({}));
    let version = "/v2/repository/models/{model}/versions/{version}";
    let uploads = [201, 200].map(|status| (status, server.upload("uploaded", 1, guest("minimal"))));
    for (status, uploaded) in uploads {
        assert_eq!(uploaded.status, status, "{uploaded}");
        held_against(&document, ["PUT", version], &uploaded);
    }
    held_against(&document, ["DELETE", version], &server.remove("uploaded", 1));
    server.until_gone("uploaded");
}

#[test]
fn what_is_wrong_is_told_as_described() {
    let server = Server::with_models(|models| models.bare("interceptors/torn", b"torn".to_vec())).start();
    let document = server.get("/openapi.json").ok().json();
    let ready = || server.get("/v2/health/ready");
    let told = |what: &str| until(what, || ready().json()[what].is_string());
    held_against(&document, ["GET", "/v2/health/ready"], &ready());
    told("shut");
    std::fs::rename(server.models().path(""), server.directory().join("away")).unwrap();
    told("degraded");
    held_against(&document, ["GET", "/v2/health/ready"], &ready());
}

/// Holds an answer against what the document says of its route: its status, whether there is a body, and its shape.
#[track_caller]
fn held_against(document: &Value, [method, path]: [&str; 2], answer: &Response) {
    let responses = &document["paths"][path][method.to_lowercase()]["responses"];
    let described = responses.get(answer.status.to_string()).unwrap_or(&responses["default"]);
    assert!(answer.status >= 400 || responses.get(answer.status.to_string()).is_some(), "{path} {answer}");
    let Some((media, content)) = described["content"].as_object().and_then(|content| content.iter().next()) else {
        return assert_eq!(answer.text(), "", "{path} has a body");
    };
    assert!(answer.header("content-type").is_some_and(|told| told.starts_with(media)), "{path} {answer:?}");
    if let Some(schema) = content.get("schema") {
        fits(document, schema, &answer.json()).unwrap_or_else(|fault| panic!("{method} {path}: {fault} in {answer}"));
    }
}

/// Whether a value is as a schema has it, as far as the schemas here go.
fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return fits(document, document.pointer(&reference[1..]).unwrap(), value);
    }
    let types = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
    let kind = kind(value);
    if !types.iter().any(|one| one == kind || (one == "number" && kind == "integer")) {
        return Err(format!("{value} is no {types:?}"));
    }
    if schema["enum"].as_array().is_some_and(|names| !names.contains(value)) {
        return Err(format!("{value} is none of {}", schema["enum"]));
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required {
        value.get(name).ok_or_else(|| format!("'{name}' is missing"))?;
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => fits(document, schema, member).map_err(|fault| format!("'{name}': {fault}"))?,
            None if schema.get("properties").is_none() || schema.get("additionalProperties").is_some() => {}
            None => return Err(format!("'{name}' is not described")),
        }
    }
    let items = schema.get("items");
    value
        .as_array()
        .into_iter()
        .flatten()
        .try_for_each(|item| items.map_or(Ok(()), |items| fits(document, items, item)))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
