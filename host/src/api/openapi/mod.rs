//! The OpenAPI document, which describes every route. It contains no tenant data.

mod bodies;
pub(super) mod errors;
mod inference;
mod models;
mod openai;
mod schemas;
mod shapes;
mod tenant;
mod tensorflow;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::auth::Access;
use super::route::{Endpoint, Operation, Route};
use crate::servable::Servable;

/// Builds the OpenAPI 3.1 document.
pub(super) fn document(endpoints: &[Endpoint]) -> Value {
    let mut paths: Map<String, Value> = Map::new();

    for endpoint in endpoints {
        let path = paths.entry(endpoint.route.path).or_insert_with(|| json!({}));
        path[endpoint.route.method.to_lowercase()] = describe(endpoint);
    }

    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Wardian",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Version 2 of the Open Inference Protocol with its extensions, and what Wardian adds.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas::schemas(),
            "responses": error_responses(),
            "securitySchemes": security_schemes(),
        },
    })
}

/// Builds the OpenAPI 3.1 document of a model, without the `paths`. `record` is the schema
/// of a record with all fields.
pub(super) fn model_document(servable: &Servable, record: Value) -> Value {
    let id = servable.id();
    let schemas = schemas::schemas().remove("Error");

    json!({
        "openapi": "3.1.0",
        "info": {
            "title": id.name.as_str(),
            "version": id.version.to_string(),
            "description": servable.metadata().description,
        },
        "components": {
            "schemas": { "Error": schemas, "Record": record },
            "responses": error_responses(),
            "securitySchemes": security_schemes(),
        },
    })
}

fn security_schemes() -> Value {
    json!({
        "bearer": { "type": "http", "scheme": "bearer" },
        "key": { "type": "apiKey", "in": "header", "name": "X-Api-Key" },
    })
}

fn describe(endpoint: &Endpoint) -> Value {
    let Endpoint { route, operation, .. } = endpoint;

    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": access(route.access),
        "parameters": parameters(route, operation),
        "responses": responses(endpoint),
    });

    if !operation.request_body.is_empty() {
        described["requestBody"] = json!({
            "required": !bodies::is_optional(operation.request_body),
            "description": bodies::description(operation.request_body),
            "content": request_content(operation),
        });
    }

    if route.access != Access::Open {
        described["security"] = json!([{ "bearer": [] }, { "key": [] }]);
    }

    described
}

/// Returns the media types of a request's body, with the example.
fn request_content(operation: &Operation) -> Value {
    let mut content = bodies::content(operation.request_body);
    let example: Option<Value> = serde_json::from_str(operation.example).ok();

    if let (Some(example), Some(json)) = (example, content.get_mut("application/json")) {
        json["example"] = example;
    }

    content
}

/// Returns the responses of a route by status.
fn responses(endpoint: &Endpoint) -> Map<String, Value> {
    let content = bodies::content(endpoint.operation.response_body);
    let success = json!({ "description": "as it should be", "content": content });
    let successes =
        endpoint.operation.statuses.iter().map(|&status| (status.into(), success.clone()));

    let body = endpoint.operation.error_body;
    let errors = errors::statuses(endpoint).into_iter().filter_map(|status| {
        let reference = format!("#/components/responses/{}", errors::name(status)?);
        let shared = json!({ "$ref": reference });
        let own = || json!({ "description": "an error", "content": bodies::content(body) });
        Some((status.into(), if body == "Error" { shared } else { own() }))
    });

    successes.chain(errors).collect()
}

/// Returns the shared error responses by name.
fn error_responses() -> Map<String, Value> {
    let described = errors::ERRORS.iter().map(|error| {
        let response =
            json!({ "description": error.description, "content": bodies::content("Error") });
        (error.name.into(), response)
    });

    described.collect()
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Open => "For every caller.",
        Access::Key => "For any key, where keys are configured.",
        Access::Infer => "For keys with scope `infer`, where keys are configured.",
        Access::Manage => "For keys with scope `manage`, where keys are configured.",
        Access::Admin => "For keys with scope `admin`, where keys are configured.",
    }
}

/// Returns the path parameters, the query parameters, and the headers that an inference request
/// may need.
fn parameters(route: &Route, operation: &Operation) -> Vec<Value> {
    let text = json!({ "type": "string" });
    let named = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<_> = named
        .map(|name| {
            let mut described = parameter(name, "path", &text);
            described["example"] = example_part(name, route, operation).into();
            described
        })
        .collect();

    let in_query = operation.query.iter().map(|&name| match name {
        "limit" | "width" => parameter(name, "query", &json!({ "type": "integer", "minimum": 0 })),
        _ => parameter(name, "query", &text),
    });
    parameters.extend(in_query);

    if bodies::is_binary(operation.request_body) {
        let length = json!({ "type": "integer", "minimum": 0 });
        parameters.push(parameter("Inference-Header-Content-Length", "header", &length));
    }

    // Its path names no model.
    if route.path == "/invocations" {
        let mut model = parameter("X-Amzn-SageMaker-Target-Model", "header", &text);
        model["example"] = operation.example_model.into();
        parameters.push(model);
    }

    parameters
}

/// Returns an example of a part of a path.
fn example_part(name: &str, route: &Route, operation: &Operation) -> String {
    match name {
        // The verb belongs to the last part of the path.
        "model" if is_tensorflow_inference(route, name) => {
            format!("{}:predict", operation.example_model)
        }
        "model" => operation.example_model.into(),
        "version" if is_tensorflow_inference(route, name) => "1:predict".into(),
        "label" if is_tensorflow_inference(route, name) => "stable:predict".into(),
        "version" => "1".into(),
        "label" => "stable".into(),
        "repository" => "main".into(),
        "asset" => "app.js".into(),
        name => format!("a-{name}"),
    }
}

/// True if the path of TensorFlow Serving's inference ends with this part.
fn is_tensorflow_inference(route: &Route, part: &str) -> bool {
    route.method == "POST"
        && route.path.starts_with("/v1/models/")
        && route.path.ends_with(&format!("{{{part}}}"))
}

fn parameter(name: &str, place: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": place, "required": place == "path", "schema": schema })
}
