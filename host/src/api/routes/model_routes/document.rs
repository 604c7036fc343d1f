//! The OpenAPI document of a model: inference and its own routes, with schemas from its metadata.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::inference_operations::{inference_operations, refusals};
use super::parts::{PartMap, Place, Target};
use crate::api::http::request_memory::RequestMemory;
use crate::api::openapi;
use crate::api::table::{
    FieldSchema, TableBuilder, build_row, field_schemas, output_schema, schema_memory,
};
use crate::model::{
    AnswerForm, AnswerOutputs, InferError, Metadata, ModelRoute, ModelRoutes, OutputSource,
    ParameterValue, RouteBody, TensorSpec,
};
use crate::servable::Servable;
use crate::tenant::Pacer;

/// The schemas of a model, by name.
pub(super) struct Schemas<'m> {
    metadata: &'m Metadata,
    fields: HashMap<String, FieldSchema>,
    outputs: HashMap<&'m str, &'m TensorSpec>,
}

/// Returns the approximate size in bytes of what [`write_document`] handles.
pub(in crate::api) fn document_work(metadata: &Metadata, routes: &ModelRoutes) -> usize {
    const BYTES_PER_SCHEMA: usize = 256;

    let texts = metadata.properties.iter().map(|property| match &property.value {
        ParameterValue::Text(text) => text.len(),
        _ => 0,
    });
    let specs = metadata.inputs.len() + metadata.outputs.len();
    // A route has few parts, and many names of columns are a long text.
    let for_each = BYTES_PER_SCHEMA * (1 + specs) + texts.sum::<usize>();
    // Inference takes as much as two routes.
    for_each.saturating_mul(3 + routes.len())
}

/// Writes the document of a model. `memory` grows with it. Fails if the tenant's memory
/// quota is used up, or the work is stopped.
pub(in crate::api) fn write_document(
    servable: &Servable,
    memory: &mut RequestMemory,
    pacer: &Pacer,
) -> Result<Vec<u8>, InferError> {
    let routes = &servable.settings().routes;
    let model = servable.id().name.as_str();
    let (schemas, mut written) = write_paths(servable.metadata(), routes, model, memory, pacer)?;

    let rest = openapi::model_document(servable, schemas.record());
    let mut others = Vec::new();
    write_json(&mut others, &rest)?;
    written.push(b',');
    written.extend_from_slice(others.get(1..).unwrap_or_default());

    Ok(written)
}

/// Writes the beginning of a document, up to the end of its `paths`.
pub(super) fn write_paths<'m>(
    metadata: &'m Metadata,
    routes: &ModelRoutes,
    model: &str,
    memory: &mut RequestMemory,
    pacer: &Pacer,
) -> Result<(Schemas<'m>, Vec<u8>), InferError> {
    // One set of schemas is kept, and a route or the record has another while it is written. Each
    // is written in less than its memory.
    let working = 3 * schema_memory(metadata);
    memory.resize(working)?;

    let schemas = Schemas::of(metadata);
    let mut written = b"{\"paths\":{".to_vec();
    for (index, (path, operations)) in by_path(routes).iter().enumerate() {
        written.extend_from_slice(if index > 0 { b",".as_slice() } else { b"" });
        write_json(&mut written, path)?;
        written.push(b':');
        for (index, (number, route)) in operations.iter().enumerate() {
            written.push(if index > 0 { b',' } else { b'{' });
            write_json(&mut written, &route.method.name().to_lowercase())?;
            written.push(b':');
            write_json(&mut written, &operation(&schemas, route, model, *number))?;

            memory.resize(working.saturating_add(written.capacity()))?;
            pacer.checkpoint().map_err(|stopped| InferError::Internal(stopped.to_string()))?;
        }
        written.push(b'}');
    }

    for (index, (path, operation)) in inference_operations(metadata, model).iter().enumerate() {
        written.extend_from_slice(if index > 0 || !routes.is_empty() { b"," } else { b"" });
        write_json(&mut written, path)?;
        written.push(b':');
        write_json(&mut written, &json!({ "post": operation }))?;
        memory.resize(working.saturating_add(written.capacity()))?;
    }
    written.push(b'}');

    Ok((schemas, written))
}

/// Returns the routes of each path, each with its number among the routes of the model.
fn by_path(routes: &ModelRoutes) -> BTreeMap<String, Vec<(usize, &ModelRoute)>> {
    let mut paths: BTreeMap<String, Vec<(usize, &ModelRoute)>> = BTreeMap::new();
    for (number, route) in routes.iter().enumerate() {
        let of_path = paths.entry(route.path.template()).or_default();
        // OpenAPI cannot tell the rest of a path from a parameter.
        if !of_path.iter().any(|(_, other)| other.method == route.method) {
            of_path.push((number, route));
        }
    }

    paths
}

fn write_json(out: &mut Vec<u8>, value: &impl serde::Serialize) -> Result<(), InferError> {
    serde_json::to_writer(out, value).map_err(|error| InferError::Internal(error.to_string()))
}

impl<'m> Schemas<'m> {
    fn of(metadata: &'m Metadata) -> Self {
        let fields = field_schemas(metadata).into_iter();
        Schemas {
            metadata,
            fields: fields.map(|field| (field.name.clone(), field)).collect(),
            outputs: metadata.outputs.iter().map(|spec| (spec.name.as_str(), spec)).collect(),
        }
    }

    /// Returns the schema of a record with all fields.
    fn record(&self) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (name, field) in &self.fields {
            properties.insert(name.clone(), field.schema.clone());
            required.extend(field.required.then_some(name));
        }
        required.sort_unstable();

        object(properties, &required)
    }

    /// Returns the field that a part with this name fills.
    fn filled_by(&self, map: &PartMap<'_>, name: &str) -> Option<&FieldSchema> {
        match map.target(name) {
            Target::Field(target) => self.fields.get(target),
            Target::Parameter(_) => None,
        }
    }
}

fn object(properties: Map<String, Value>, required: &[&String]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn operation(schemas: &Schemas<'_>, route: &ModelRoute, model: &str, number: usize) -> Value {
    let map = PartMap::new(route);
    let mut responses = Map::new();
    match route.websocket {
        true => {
            let switch = json!({ "description": "the connection is a WebSocket from here on" });
            responses.insert("101".into(), switch);
            let refused = json!({ "description": "the request is no WebSocket handshake" });
            responses.insert("426".into(), refused);
        }
        false => drop(responses.insert(route.status.to_string(), success(schemas, route))),
    }
    responses.extend(refusals());

    let mut described = json!({
        "operationId": format!("{model}_{number}"),
        "tags": [model],
        "summary": format!("Ask the model by {route}"),
        "description": schemas.metadata.description,
        "parameters": parameters(schemas, route, &map),
        "responses": responses,
        "security": [{ "bearer": [] }, { "key": [] }],
    });
    let content = body(schemas, route, &map);
    if route.websocket {
        // OpenAPI has no words for the messages of a connection.
        described["x-websocket"] =
            json!({ "receives": content, "sends": success(schemas, route)["content"] });
    } else if let Some(content) = content {
        described["requestBody"] = json!({ "required": true, "content": content });
    }

    described
}

/// Returns the names that members of a body may have; `None` if they are those of the record.
fn names_in_body(
    metadata: &Metadata,
    route: &ModelRoute,
    map: &PartMap<'_>,
) -> Option<Vec<String>> {
    let found = RefCell::new(None);
    let label = |table: &TableBuilder<'_>, field| map.label(table, field);
    // Nothing is built: the fields alone are of interest.
    let _ = build_row(metadata, &label, 0, |table| {
        let filled = map.filled_fields(table);
        let is_record = filled.is_empty() && route.inputs.is_empty() && route.parameters.is_empty();
        let names = || map.body_names(table, &filled).map(Cow::into_owned).collect();
        found.replace((!is_record).then(names));
        table.begin_row()
    });

    found.into_inner()
}

fn parameters(schemas: &Schemas<'_>, route: &ModelRoute, map: &PartMap<'_>) -> Vec<Value> {
    let described = map.named_parts().filter_map(|(place, name)| {
        let place = match place {
            Place::Path => "path",
            Place::Query => "query",
            Place::Body => return None,
        };
        let field = schemas.filled_by(map, name);
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

fn body(schemas: &Schemas<'_>, route: &ModelRoute, map: &PartMap<'_>) -> Option<Value> {
    let media = match route.body {
        RouteBody::None => return None,
        RouteBody::Raw => {
            let binary = json!({ "type": "string", "format": "binary" });
            return Some(json!({ "application/octet-stream": { "schema": binary } }));
        }
        RouteBody::Json => "application/json",
        RouteBody::Form => "application/x-www-form-urlencoded",
        RouteBody::Multipart => "multipart/form-data",
    };
    let Some(names) = names_in_body(schemas.metadata, route, map) else {
        return Some(json!({ media: { "schema": { "$ref": "#/components/schemas/Record" } } }));
    };

    let mut properties = Map::new();
    let mut required = Vec::new();
    for name in &names {
        match schemas.filled_by(map, name) {
            Some(field) => {
                properties.insert(name.clone(), field.schema.clone());
                required.extend(field.required.then_some(name));
            }
            None if map.parameter(name).is_some() => {
                properties.insert(name.clone(), any_value());
            }
            // The whole of a matrix whose columns are named.
            None => {}
        }
    }
    required.sort_unstable();
    required.dedup();

    Some(json!({ media: { "schema": object(properties, &required) } }))
}

fn success(schemas: &Schemas<'_>, route: &ModelRoute) -> Value {
    let default = match route.answer {
        AnswerForm::Empty => return json!({ "description": "no body" }),
        AnswerForm::Raw => "application/octet-stream",
        _ if route.stream && !route.websocket => "text/event-stream",
        _ => "application/json",
    };
    let media = route.content_type.as_deref().unwrap_or(default);
    let schema = match route.answer {
        AnswerForm::Raw => json!({ "type": "string", "format": "binary" }),
        _ if route.stream && !route.websocket => json!({ "type": "string" }),
        AnswerForm::Rows => json!({ "type": "array", "items": values(schemas, route) }),
        _ => values(schemas, route),
    };

    json!({ "description": "the model's answer", "content": { media: { "schema": schema } } })
}

/// Returns the schema of a row, or of the columns.
fn values(schemas: &Schemas<'_>, route: &ModelRoute) -> Value {
    let in_row = route.answer != AnswerForm::Columns;
    let schema = |name: &str| {
        let spec = schemas.outputs.get(name);
        spec.map_or_else(|| json!({}), |spec| output_schema(spec, in_row))
    };

    let properties: Map<String, Value> = match &route.outputs {
        AnswerOutputs::Single(name) => return schema(name),
        AnswerOutputs::All => {
            let names = schemas.metadata.outputs.iter().map(|spec| &spec.name);
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
