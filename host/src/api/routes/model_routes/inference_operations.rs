//! The OpenAPI descriptions of the inference that every model has, with schemas from its metadata.

use serde_json::{Map, Value, json};

use crate::api::openapi::errors;
use crate::api::table::{element_schema, output_schema};
use crate::model::{Metadata, TensorSpec};

/// Returns the operations of `infer` and `predict`, each with its path.
pub(super) fn inference_operations(metadata: &Metadata, model: &str) -> [(String, Value); 2] {
    let infer = json!({ "application/json": { "schema": infer_request(metadata) } });
    let record = json!({ "$ref": "#/components/schemas/Record" });
    let table = json!({ "anyOf": [record, { "type": "array", "items": record }] });
    let predict = json!({
        "application/json": { "schema": table },
        "text/csv": { "schema": { "type": "string" } },
    });

    [
        ("infer", "Answer tensors by tensors", infer, infer_response(metadata, model)),
        ("predict", "Answer records by predictions", predict, predictions(metadata)),
    ]
    .map(|(verb, summary, content, answer)| {
        let path = format!("/v2/models/{model}/{verb}");
        (path, operation(&format!("{model}_{verb}"), model, summary, &content, &answer))
    })
}

fn operation(id: &str, model: &str, summary: &str, content: &Value, answer: &Value) -> Value {
    let answer = json!({ "application/json": { "schema": answer } });
    let success = json!({ "description": "the model's answer", "content": answer });
    let mut responses = Map::from_iter([("200".to_owned(), success)]);
    responses.extend(refusals());

    json!({
        "operationId": id,
        "tags": [model],
        "summary": summary,
        "requestBody": { "required": true, "content": content },
        "responses": responses,
        "security": [{ "bearer": [] }, { "key": [] }],
    })
}

fn infer_request(metadata: &Metadata) -> Value {
    let required = metadata.inputs.iter().filter(|spec| !spec.optional).count();
    let mut inputs = tensors(&metadata.inputs);
    inputs["minItems"] = json!(required);
    let names: Vec<_> = metadata.outputs.iter().map(|spec| spec.name.as_str()).collect();
    let output = json!({
        "type": "object",
        "properties": { "name": { "enum": names }, "parameters": { "type": "object" } },
        "required": ["name"],
    });

    json!({
        "type": "object",
        "properties": {
            "id": { "type": "string" },
            "parameters": { "type": "object" },
            "inputs": inputs,
            "outputs": { "type": "array", "items": output },
        },
        "required": ["inputs"],
        "additionalProperties": false,
    })
}

fn infer_response(metadata: &Metadata, model: &str) -> Value {
    json!({
        "type": "object",
        "properties": {
            "model_name": { "const": model },
            "model_version": { "type": "string" },
            "id": { "type": "string" },
            "parameters": { "type": "object" },
            "outputs": tensors(&metadata.outputs),
        },
        "required": ["model_name", "model_version", "outputs"],
    })
}

/// Returns the schema of a list of these tensors.
fn tensors(specs: &[TensorSpec]) -> Value {
    let each: Vec<_> = specs.iter().map(tensor).collect();
    match each.is_empty() {
        true => json!({ "type": "array", "maxItems": 0 }),
        false => json!({ "type": "array", "items": { "anyOf": each }, "maxItems": specs.len() }),
    }
}

/// Returns the schema of a tensor. Its elements are one list, or nested as its shape.
fn tensor(spec: &TensorSpec) -> Value {
    let items = json!({ "anyOf": [element_schema(spec.datatype), { "type": "array" }] });
    json!({
        "type": "object",
        "properties": {
            "name": { "const": spec.name },
            "datatype": { "const": spec.datatype.name() },
            "shape": { "type": "array", "items": { "type": "integer", "minimum": 0 } },
            "data": { "type": "array", "items": items },
            "parameters": { "type": "object" },
        },
        "required": ["name", "datatype", "shape", "data"],
    })
}

/// Returns the schema of the answer of `predict`: an entry for each row, a value if the model has
/// one output.
fn predictions(metadata: &Metadata) -> Value {
    let row = match metadata.outputs.as_slice() {
        [output] => output_schema(output, true),
        outputs => {
            let value = |spec: &TensorSpec| (spec.name.clone(), output_schema(spec, true));
            json!({ "type": "object", "properties": Map::from_iter(outputs.iter().map(value)) })
        }
    };

    json!({
        "type": "object",
        "properties": { "predictions": { "type": "array", "items": row } },
        "required": ["predictions"],
    })
}

/// Returns the responses to requests that are refused or fail, by their status.
pub(super) fn refusals() -> impl Iterator<Item = (String, Value)> {
    let statuses =
        ["400", "401", "403", "404", "413", "415", "422", "429", "500", "503", "504"].into_iter();
    statuses.filter_map(|status| {
        let reference = format!("#/components/responses/{}", errors::name(status)?);
        Some((status.to_owned(), json!({ "$ref": reference })))
    })
}
