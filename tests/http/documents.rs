//! `GET /openapi.json`: its descriptions of responses are correct.

use serde_json::{Value, json};

use super::{serve, upper};
use crate::harness::{Response, Server, guest, guest_folder, until};

#[test]
fn responses_match_their_descriptions() {
    let server = serve();
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
        "/v2/dashboard",
        "/dashboard",
        "/ping",
        "/metrics",
    ] {
        said(path, &server.get(path));
    }
    for what in ["", "/ready", "/config", "/stats", "/history", "/sessions"] {
        let of = |model: &str| format!("/v2/models/{model}{what}");
        said(&of("{model}"), &server.get(&of("upper")));
        said(&of("{model}"), &server.get(&of("nobody")));
    }
    let posted = |path: &str, at: &str, body: &Value| {
        body_held_against(&document, ["POST", path], body);
        held_against(&document, ["POST", path], &server.post(at, body));
    };
    for (verb, body) in [("infer", upper(&["a"])), ("generate", json!({ "text": "a" }))] {
        posted(&format!("/v2/models/{{model}}/{verb}"), &format!("/v2/models/upper/{verb}"), &body);
    }
    let binary =
        json!({ "inputs": upper(&["a"])["inputs"], "parameters": { "binary_data_output": true } });
    posted("/v2/models/{model}/infer", "/v2/models/upper/infer", &binary);
    posted("/v2/models/{model}/infer", "/v2/models/nobody/infer", &binary);
    posted(
        "/v2/models/{model}/generate_stream",
        "/v2/models/nobody/generate_stream",
        &json!({ "text": "a" }),
    );
    posted("/v2/repository/index", "/v2/repository/index", &json!({ "ready": true }));
    posted(
        "/v2/repository/models/{model}/load",
        "/v2/repository/models/upper/load",
        &json!({ "parameters": {} }),
    );
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

/// A server with the models of the examples.
fn serve_examples() -> Server {
    let server = Server::with_models(|models| {
        models.settings("iris", "labels = { stable = 1 }");
        models.version("iris", 1, guest("iris"));
        models.copy_folder(&guest_folder("chat"), "chat/1");
        models.bare("embedder", guest("embedder"));
    })
    .start();
    server.until_tried();
    server
}

/// Sends the example of an operation, with the examples of its parameters.
fn send_example(server: &Server, path: &str, method: &str, operation: &Value) -> Response {
    let body = &operation["requestBody"]["content"]["application/json"]["example"];
    let has_body = operation.get("requestBody").is_some();
    assert!(!has_body || !body.is_null(), "{method} {path} has no example");

    let parameters = operation["parameters"].as_array().unwrap();
    let with = |place| {
        let placed = parameters.iter().filter(move |parameter| parameter["in"] == place);
        placed.filter_map(|parameter| {
            Some((parameter["name"].as_str().unwrap(), parameter["example"].as_str()?))
        })
    };
    let path = with("path").fold(path.to_owned(), |path, (name, example)| {
        path.replace(&format!("{{{name}}}"), example)
    });
    let call = server.call(&method.to_uppercase(), &path);
    let call = with("header").fold(call, |call, (name, example)| call.header(name, example));

    if has_body { call.json(body).send() } else { call.send() }
}

#[test]
fn examples_work_as_they_are_pasted() {
    let server = serve_examples();
    let document = server.get("/openapi.json").ok().json();
    let paths = document["paths"].as_object().unwrap();
    let mut operations: Vec<_> = paths
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().iter().map(move |on| (path, on)))
        .filter(|(_, (method, _))| ["get", "post"].contains(&method.as_str()))
        .collect();
    // Unloading is last, and named repositories and what a model keeps are not there.
    operations.sort_by_key(|(path, _)| path.ends_with("/unload"));
    let is_absent = |path: &str| {
        ["{repository}", "{bucket}/{key}", "{task}"].iter().any(|part| path.contains(part))
    };

    let mut sent = 0;
    for (path, (method, operation)) in operations.into_iter().filter(|(path, _)| !is_absent(path)) {
        let answer = send_example(&server, path, method, operation);
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer}");
        held_against(&document, [&method.to_uppercase(), path], &answer);
        sent += 1;
    }
    assert!(sent > 40, "{sent} examples");
}

#[test]
fn degraded_states_match_their_descriptions() {
    let server =
        Server::with_models(|models| models.bare("interceptors/torn", b"torn".to_vec())).start();
    let document = server.get("/openapi.json").ok().json();
    let ready = || server.get("/v2/health/ready");
    let told = |what: &str| until(what, || ready().json()[what].is_string());
    held_against(&document, ["GET", "/v2/health/ready"], &ready());
    told("shut");
    std::fs::rename(server.models().path(""), server.directory().join("away")).unwrap();
    told("degraded");
    held_against(&document, ["GET", "/v2/health/ready"], &ready());
}

/// Compares a response with the document's description of its route: status, presence of a body,
/// and shape.
#[track_caller]
fn held_against(document: &Value, [method, path]: [&str; 2], answer: &Response) {
    let responses = &document["paths"][path][method.to_lowercase()]["responses"];
    let described = responses.get(answer.status.to_string());
    let described =
        described.unwrap_or_else(|| panic!("{method} {path}: {} is not described", answer.status));
    let described = resolved(document, described);
    let Some(content) = described["content"].as_object().filter(|content| !content.is_empty())
    else {
        return assert_eq!(answer.text(), "", "{path} has a body");
    };

    let told = answer.header("content-type").unwrap_or_default();
    let (media, body) =
        content.iter().find(|(media, _)| told.starts_with(*media)).unwrap_or_else(|| {
            panic!("{method} {path}: '{told}' is not described: {answer}");
        });
    let value = if media == "application/json" { answer.json() } else { json!(answer.text()) };
    fits(document, &body["schema"], &value)
        .unwrap_or_else(|fault| panic!("{method} {path}: {fault} in {answer}"));
}

/// Compares a request body with the document's description of its route.
#[track_caller]
fn body_held_against(document: &Value, [method, path]: [&str; 2], body: &Value) {
    let content = &document["paths"][path][method.to_lowercase()]["requestBody"]["content"]["application/json"];
    let Some(schema) = content.get("schema") else { return };
    fits(document, schema, body)
        .unwrap_or_else(|fault| panic!("{method} {path}: {fault} in {body}"));
}

/// Returns the value itself, or the value that it refers to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => value,
    }
}

/// Checks a value against a schema, for the keywords that the document uses.
fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolved(document, schema);
    if let Some(schemas) = schema["anyOf"].as_array() {
        let one = schemas.iter().any(|schema| fits(document, schema, value).is_ok());
        return if one { Ok(()) } else { Err(format!("{value} is none of {schemas:?}")) };
    }
    has_type(schema, value)?;
    if schema["enum"].as_array().is_some_and(|names| !names.contains(value)) {
        return Err(format!("{value} is none of {}", schema["enum"]));
    }

    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required {
        value.get(name).ok_or_else(|| format!("'{name}' is missing"))?;
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let more = schema.get("additionalProperties");
        match schema["properties"].get(name).or(more.filter(|schema| schema.is_object())) {
            Some(schema) => {
                fits(document, schema, member).map_err(|fault| format!("'{name}': {fault}"))?
            }
            None if more == Some(&json!(true))
                || (more.is_none() && schema.get("properties").is_none()) => {}
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

/// Checks the type of a value, if the schema names types.
fn has_type(schema: &Value, value: &Value) -> Result<(), String> {
    let types = match &schema["type"] {
        Value::Null => return Ok(()),
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    let kind = kind(value);
    let fits = types.iter().any(|one| one == kind || (one == "number" && kind == "integer"));
    if fits { Ok(()) } else { Err(format!("{value} is no {types:?}")) }
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
