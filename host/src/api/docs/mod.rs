//! The API documentation: `/openapi.json`, and `/docs`, a page that shows it and can call models.
//!
//! Neither contains tenant data. The page lists models with the API key that the user enters.

mod bodies;
mod operations;
mod refusals;
mod schemas;

use std::sync::LazyLock;

use axum::http::header::{CONTENT_SECURITY_POLICY, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::auth::Access;
use super::media_type::AcceptHeader;
use super::response_compression::StaticDocument;
use super::router::{Route, json_response, routes};
use operations::{Operation, operation};

/// `GET /openapi.json`.
pub(super) async fn openapi(headers: HeaderMap) -> Response {
    static DOCUMENT: LazyLock<StaticDocument> =
        LazyLock::new(|| StaticDocument::compress(document().to_string()));
    DOCUMENT.respond(HeaderValue::from_static("application/json"), &headers)
}

/// `GET /docs`.
pub(super) async fn page(headers: HeaderMap) -> Response {
    // The page is self-contained and connects to this server only.
    const POLICY: HeaderValue = HeaderValue::from_static(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    static PAGE: LazyLock<StaticDocument> =
        LazyLock::new(|| StaticDocument::compress(include_str!("page.html")));

    let mut response = PAGE.respond(HeaderValue::from_static("text/html; charset=utf-8"), &headers);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);

    response
}

/// `GET /`: the documentation page for browsers, a liveness answer for other clients.
pub(super) async fn root(headers: HeaderMap) -> Response {
    let mut response = match AcceptHeader::from_headers(&headers).lists("text/html") {
        true => page(headers).await,
        false => json_response(&json!({ "status": "alive" })),
    };
    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    response
}

/// Builds the OpenAPI 3.1 document.
fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes() {
        let Some(operation) = operation(&route) else { continue };
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = describe(&route, &operation);
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
            "responses": errors(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "key": { "type": "apiKey", "in": "header", "name": "X-Api-Key" },
            },
        },
    })
}

fn describe(route: &Route, operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": access(route.access),
        "parameters": parameters(route.path, operation),
        "responses": responses(route, operation),
    });

    if !operation.body.is_empty() {
        described["requestBody"] = json!({
            "required": !bodies::is_optional(operation.body),
            "description": bodies::description(operation.body),
            "content": bodies::content(operation.body),
        });
    }

    if route.access != Access::Open {
        described["security"] = json!([{ "bearer": [] }, { "key": [] }]);
    }

    described
}

/// Returns the responses of a route by status.
fn responses(route: &Route, operation: &Operation) -> Map<String, Value> {
    let answer =
        json!({ "description": "as it should be", "content": bodies::content(operation.answer) });
    let answers = operation.statuses.iter().map(|&status| (status.into(), answer.clone()));

    let refusals = refusals::of(route, operation).into_iter().filter_map(|status| {
        let reference = format!("#/components/responses/{}", refusals::name(status)?);
        Some((status.into(), json!({ "$ref": reference })))
    });
    answers.chain(refusals).collect()
}

/// Returns the shared error responses by name.
fn errors() -> Map<String, Value> {
    let described = refusals::ERRORS.iter().map(|(_, name, text)| {
        ((*name).into(), json!({ "description": text, "content": bodies::content("Error") }))
    });
    described.collect()
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Open => "For everybody.",
        Access::Key => "For any key, where keys are configured.",
        Access::Infer => "For keys with scope `infer`, where keys are configured.",
        Access::Manage => "For keys with scope `manage`, where keys are configured.",
        Access::Admin => "For keys with scope `admin`, where keys are configured.",
    }
}

/// Returns the path parameters, the query parameters, and the header that frames a binary body.
fn parameters(path: &str, operation: &Operation) -> Vec<Value> {
    let text = json!({ "type": "string" });
    let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<_> = named.map(|name| parameter(name, "path", &text)).collect();

    let in_query = operation.query.iter().map(|&name| match name {
        "limit" => parameter(name, "query", &json!({ "type": "integer", "minimum": 0 })),
        _ => parameter(name, "query", &text),
    });
    parameters.extend(in_query);

    if bodies::is_binary(operation.body) {
        let length = json!({ "type": "integer", "minimum": 0 });
        parameters.push(parameter("Inference-Header-Content-Length", "header", &length));
    }

    parameters
}

fn parameter(name: &str, place: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": place, "required": place == "path", "schema": schema })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described() {
        let missing: Vec<_> =
            routes().into_iter().filter(|route| operation(route).is_none()).collect();
        assert!(missing.is_empty(), "say in operations.rs what these do: {missing:#?}");
        assert_eq!(
            operations::count(),
            routes().len(),
            "operations.rs describes a route that is not there"
        );
    }

    #[test]
    fn every_refusal_is_described() {
        for route in routes() {
            let operation = operation(&route).unwrap();
            for status in refusals::of(&route, &operation) {
                assert!(refusals::name(status).is_some(), "{status} of {route:?}");
            }
        }
    }

    #[test]
    fn every_array_has_items_and_every_body_a_schema() {
        fn check(value: &Value) {
            if value["type"] == "array"
                || value["type"].as_array().is_some_and(|types| types.contains(&json!("array")))
            {
                assert!(value.get("items").is_some(), "{value}");
            }

            if let Some(content) = value["content"].as_object() {
                content
                    .iter()
                    .for_each(|(media, body)| assert!(body["schema"].is_object(), "{media}"));
            }

            match value {
                Value::Object(members) => members.values().for_each(check),
                Value::Array(items) => items.iter().for_each(check),
                _ => {}
            }
        }

        check(&document());
    }

    #[test]
    fn every_schema_that_is_named_is_there() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(members) => {
                    members.iter().for_each(|(key, value)| match value.as_str() {
                        Some(name) if key == "$ref" => found.push(name.to_owned()),
                        _ => references(value, found),
                    })
                }
                Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }

        let (document, mut found) = (document(), Vec::new());
        references(&document, &mut found);
        assert!(found.len() > 20);

        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
