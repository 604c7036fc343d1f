//! What this interface says of itself: `/openapi.json`, and `/docs`, a page that shows it and lets one try a model.
//!
//! Both say nothing of any tenant: the page asks for models with the key that its reader types in.

mod operations;
mod schemas;

use std::sync::LazyLock;

use axum::http::header::{CONTENT_SECURITY_POLICY, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::caller::Access;
use super::compressed::Document;
use super::media::Accepted;
use super::router::{Route, json_response, routes};
use operations::{Operation, operation};

/// `GET /openapi.json`.
pub(super) async fn openapi(headers: HeaderMap) -> Response {
    static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::new(document().to_string()));
    DOCUMENT.respond(HeaderValue::from_static("application/json"), &headers)
}

/// `GET /docs`.
pub(super) async fn page(headers: HeaderMap) -> Response {
    // The page is complete in itself and talks to this server alone.
    const POLICY: HeaderValue = HeaderValue::from_static(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    static PAGE: LazyLock<Document> = LazyLock::new(|| Document::new(include_str!("page.html")));
    let mut response = PAGE.respond(HeaderValue::from_static("text/html; charset=utf-8"), &headers);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    response
}

/// `GET /`: the page for browsers, and a sign of life for everybody else.
pub(super) async fn root(headers: HeaderMap) -> Response {
    let mut response = match Accepted::of(&headers).names("text/html") {
        true => page(headers).await,
        false => json_response(&json!({ "status": "alive" })),
    };
    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    response
}

/// The whole interface, as OpenAPI 3.1 has it.
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
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "key": { "type": "apiKey", "in": "header", "name": "X-Api-Key" },
            },
        },
    })
}

fn describe(route: &Route, operation: &Operation) -> Value {
    let answer = json!({ "description": "as it should be", "content": content(operation.answer) });
    let mut responses: Map<_, _> = operation.statuses.iter().map(|&status| (status.into(), answer.clone())).collect();
    responses.insert("default".into(), json!({ "description": "an error", "content": content("Error") }));
    let mut described = json!({
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": access(route.access),
        "parameters": parameters(route.path, operation),
        "responses": responses,
    });
    if let Some(body) = operation.body {
        described["requestBody"] = json!({ "required": operation.body_required, "content": content(body) });
    }
    if route.access != Access::Open {
        described["security"] = json!([{ "bearer": [] }, { "key": [] }]);
    }
    described
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

/// The parts of the path that vary, and what may stand behind it.
fn parameters(path: &str, operation: &Operation) -> Vec<Value> {
    let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = named.map(|name| parameter(name, "path", true));
    in_path.chain(operation.query.iter().map(|name| parameter(name, "query", false))).collect()
}

fn parameter(name: &str, place: &str, required: bool) -> Value {
    json!({ "name": name, "in": place, "required": required, "schema": { "type": "string" } })
}

/// A body of that kind: a schema by name, or a media type.
fn content(kind: &str) -> Value {
    match kind {
        "" => json!({}),
        media if media.contains('/') => json!({ media: {} }),
        schema => {
            let reference = format!("#/components/schemas/{schema}");
            json!({ "application/json": { "schema": { "$ref": reference } } })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described() {
        let missing: Vec<_> = routes().into_iter().filter(|route| operation(route).is_none()).collect();
        assert!(missing.is_empty(), "say in operations.rs what these do: {missing:#?}");
        assert_eq!(operations::count(), routes().len(), "operations.rs describes a route that is not there");
    }

    #[test]
    fn every_schema_that_is_named_is_there() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(members) => members.iter().for_each(|(key, value)| match value.as_str() {
                    Some(name) if key == "$ref" => found.push(name.to_owned()),
                    _ => references(value, found),
                }),
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
