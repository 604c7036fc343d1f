//! The OpenAPI document describes every route completely.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{bodies, errors};
use crate::api::routes::{endpoints, routes};

fn document() -> Value {
    super::document(&endpoints())
}

#[test]
fn routes_and_descriptions_match() {
    let document = document();
    let ids: BTreeSet<_> = endpoints().iter().map(|endpoint| endpoint.operation.id).collect();
    assert_eq!(ids.len(), routes().len(), "two routes have the same id");
    assert!(!ids.contains(""));

    for route in routes() {
        let described = &document["paths"][route.path][route.method.to_lowercase()];
        assert!(described["summary"].as_str().is_some_and(|text| !text.is_empty()), "{route:?}");
        assert!(described["tags"][0].as_str().is_some_and(|text| !text.is_empty()), "{route:?}");
    }

    let paths = document["paths"].as_object().unwrap();
    let described: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(described, routes().len(), "a description has no route");
}

#[test]
fn every_error_status_has_a_response() {
    for endpoint in endpoints() {
        for status in errors::statuses(&endpoint) {
            assert!(errors::name(status).is_some(), "{status} of {:?}", endpoint.route);
        }
    }
}

#[test]
fn arrays_have_items_and_bodies_have_schemas() {
    fn check(value: &Value) {
        if value["type"] == "array"
            || value["type"].as_array().is_some_and(|types| types.contains(&json!("array")))
        {
            assert!(value.get("items").is_some(), "{value}");
        }

        if let Some(content) = value["content"].as_object() {
            // A property of a schema can be called `content` as well.
            let bodies = content.iter().filter(|(media, _)| media.contains('/'));
            bodies.for_each(|(media, body)| assert!(body["schema"].is_object(), "{media}"));
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
fn every_json_body_has_an_example() {
    for endpoint in endpoints() {
        let operation = &endpoint.operation;
        let example = serde_json::from_str::<Value>(operation.example);
        assert_eq!(example.is_ok(), bodies::is_json(operation.request_body), "{}", operation.id);
    }
}

#[test]
fn objects_have_members() {
    // An object of any keys has a schema for their values, or says that any are allowed.
    fn check(value: &Value, place: &str) {
        if value["type"] == "object" {
            let members = ["properties", "additionalProperties"];
            let is_described = members.iter().any(|key| value.get(*key).is_some());
            assert!(is_described || FREE_OBJECTS.contains(&place), "{place}: {value}");
        }

        match value {
            Value::Object(members) => members.values().for_each(|value| check(value, place)),
            Value::Array(items) => items.iter().for_each(|item| check(item, place)),
            _ => {}
        }
    }

    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    schemas.iter().for_each(|(name, schema)| check(schema, name));
}

/// Schemas with objects that a caller or a model chooses.
const FREE_OBJECTS: [&str; 6] =
    ["AnyError", "ChatRequest", "Invocation", "OutputTensor", "PredictRequest", "UnloadRequest"];

#[test]
fn references_resolve() {
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

    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);

    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
