//! The OpenAPI descriptions of a model's routes, with schemas from its metadata.

use std::cell::RefCell;

use serde_json::{Map, Value, json};

use super::parts::{self, Place, Target};
use crate::api::openapi::errors;
use crate::api::table::{FieldSchema, TableBuilder, build_row, field_schemas, output_schema};
use crate::model::{
    AnswerForm, AnswerOutputs, Metadata, ModelRoute, ModelRoutes, OutputSource, RouteBody,
};

/// Returns the `paths` of a document: the routes of the model with this name and metadata.
pub(in crate::api) fn paths(
    model: &str,
    metadata: &Metadata,
    routes: &ModelRoutes,
) -> Map<String, Value> {
    let mut paths: Map<String, Value> = Map::new();
    for (index, route) in routes.iter().enumerate() {
        let mut operation = operation(metadata, route);
        operation["operationId"] = json!(format!("{model}_{index}"));
        operation["tags"] = json!([model]);

        let path = paths.entry(route.path.to_string()).or_insert_with(|| json!({}));
        path[route.method.name().to_lowercase()] = operation;
    }

    paths
}

fn operation(metadata: &Metadata, route: &ModelRoute) -> Value {
    let fields = field_schemas(metadata);
    let body_names = names_in_body(metadata, route);
    let mut responses = Map::new();
    responses.insert(route.status.to_string(), success(metadata, route));
    for status in ["400", "401", "403", "404", "413", "415", "422", "429", "500", "503", "504"] {
        if let Some(name) = errors::name(status) {
            let reference = format!("#/components/responses/{name}");
            responses.insert(status.into(), json!({ "$ref": reference }));
        }
    }

    let mut described = json!({
        "summary": format!("Ask the model by {route}"),
        "description": metadata.description,
        "parameters": parameters(route, &fields),
        "responses": responses,
        "security": [{ "bearer": [] }, { "key": [] }],
    });
    if let Some(content) = body(route, &fields, &body_names) {
        described["requestBody"] = json!({ "required": true, "content": content });
    }

    described
}

/// Returns the names that members of a body may have.
fn names_in_body(metadata: &Metadata, route: &ModelRoute) -> Vec<String> {
    let found = RefCell::new(Vec::new());
    let label = |table: &TableBuilder<'_>, field| parts::label(route, table, field);
    // Nothing is built: the fields alone are of interest.
    let _ = build_row(metadata, &label, 0, |table| {
        found.replace(parts::body_names(route, table));
        table.begin_row()
    });

    found.into_inner()
}

fn parameters(route: &ModelRoute, fields: &[FieldSchema]) -> Vec<Value> {
    let described = parts::named_parts(route).filter_map(|(place, name)| {
        let place = match place {
            Place::Path => "path",
            Place::Query => "query",
            Place::Body => return None,
        };
        let field = field_of(route, name, fields);
        let mut schema = field.map_or_else(any_value, |field| field.schema.clone());

        let default = route.query.iter().find(|one| one.name == name);
        let default = default.and_then(|one| one.default.as_deref());
        let default = default.and_then(|json| serde_json::from_str::<Value>(json).ok());
        let is_required = field.is_some_and(|field| field.required) && default.is_none();
        if let Some(default) = default {
            schema["default"] = default;
        }

        let required = place == "path" || is_required;
        Some(json!({ "name": name, "in": place, "required": required, "schema": schema }))
    });

    described.collect()
}

/// A parameter of the request has any of these types.
fn any_value() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

fn field_of<'f>(
    route: &ModelRoute,
    name: &str,
    fields: &'f [FieldSchema],
) -> Option<&'f FieldSchema> {
    match parts::target(route, name) {
        Target::Field(target) => fields.iter().find(|field| field.name == target),
        Target::Parameter(_) => None,
    }
}

fn body(route: &ModelRoute, fields: &[FieldSchema], names: &[String]) -> Option<Value> {
    let media = match route.body {
        RouteBody::None => return None,
        RouteBody::Raw => {
            let binary = json!({ "type": "string", "format": "binary" });
            return Some(json!({ "application/octet-stream": { "schema": binary } }));
        }
        RouteBody::Json => "application/json",
        RouteBody::Form => "application/x-www-form-urlencoded",
    };

    let mut properties = Map::new();
    let mut required = Vec::new();
    for name in names {
        let is_parameter = matches!(parts::target(route, name), Target::Parameter(_));
        match field_of(route, name, fields) {
            Some(field) => {
                properties.insert(name.clone(), field.schema.clone());
                required.extend(field.required.then_some(name));
            }
            None if is_parameter => drop(properties.insert(name.clone(), any_value())),
            // The whole of a matrix whose columns are named.
            None => {}
        }
    }

    let schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    Some(json!({ media: { "schema": schema } }))
}

fn success(metadata: &Metadata, route: &ModelRoute) -> Value {
    let default = match route.answer {
        AnswerForm::Empty => return json!({ "description": "no body" }),
        AnswerForm::Raw => "application/octet-stream",
        _ if route.stream => "text/event-stream",
        _ => "application/json",
    };
    let media = route.content_type.as_deref().unwrap_or(default);
    let schema = match route.answer {
        AnswerForm::Raw => json!({ "type": "string", "format": "binary" }),
        _ if route.stream => json!({ "type": "string" }),
        AnswerForm::Rows => json!({ "type": "array", "items": values(metadata, route) }),
        _ => values(metadata, route),
    };

    json!({ "description": "the model's answer", "content": { media: { "schema": schema } } })
}

/// Returns the schema of a row, or of the columns.
fn values(metadata: &Metadata, route: &ModelRoute) -> Value {
    let in_row = route.answer != AnswerForm::Columns;
    let schema = |name: &str| {
        let spec = metadata.outputs.iter().find(|spec| spec.name == name);
        spec.map_or_else(|| json!({}), |spec| output_schema(spec, in_row))
    };

    let properties: Map<String, Value> = match &route.outputs {
        AnswerOutputs::Single(name) => return schema(name),
        AnswerOutputs::All => {
            let names = metadata.outputs.iter().map(|spec| &spec.name);
            names.map(|name| (name.clone(), schema(name))).collect()
        }
        AnswerOutputs::Object(sources) => sources
            .iter()
            .map(|(key, source)| match source {
                OutputSource::Output(name) => (key.clone(), schema(name)),
                OutputSource::Value(json) => {
                    let value: Value = serde_json::from_str(json).unwrap_or_default();
                    (key.clone(), json!({ "const": value }))
                }
            })
            .collect(),
    };

    json!({ "type": "object", "properties": properties })
}
