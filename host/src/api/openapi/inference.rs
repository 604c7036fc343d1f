//! Schemas of inference: tensors, generated text, predictions.

use serde_json::{Value, json};

use super::shapes::{
    Schemas, any, boolean, closed, list, map_of, open, record, record_with, reference, scalar, text,
};
use crate::model::Datatype;

/// Returns the schemas.
pub(super) fn schemas() -> Schemas {
    let parameters = || map_of(scalar());
    // A tensor under its own key: a single element or an array.
    let elements = || json!({ "anyOf": [scalar(), list(scalar())] });
    // The type differs if the model has an input or output of that name.
    let id = || json!({ "description": "the request's, unless the model has one of that name" });
    let outputs = || list(reference("OutputTensor"));

    vec![
        ("InputTensor", closed(tensor(input_parameters()))),
        ("OutputTensor", tensor(json!({ "type": "object" }))),
        (
            "RequestedOutput",
            closed(record_with(&[("name", text())], &[("parameters", output_parameters())])),
        ),
        (
            "InferRequest",
            closed(record_with(
                &[("inputs", list(reference("InputTensor")))],
                &[
                    ("id", text()),
                    ("parameters", parameters()),
                    ("outputs", list(reference("RequestedOutput"))),
                ],
            )),
        ),
        (
            "InferResponse",
            record_with(
                &[("model_name", text()), ("model_version", text()), ("outputs", outputs())],
                &[("id", text()), ("parameters", parameters())],
            ),
        ),
        // Also contains a key for each input, parameter and output of the model. An array of a
        // parameter reaches the model as JSON text.
        (
            "GenerateRequest",
            open(record_with(
                &[],
                &[("text_input", elements()), ("id", id()), ("parameters", map_of(elements()))],
            )),
        ),
        (
            "GenerateResponse",
            open(record_with(
                &[("model_name", text()), ("model_version", text())],
                &[("text_output", elements()), ("id", id())],
            )),
        ),
        ("PredictRequest", table()),
        ("Predictions", record(&[("predictions", list(any()))])),
        ("Invocation", table()),
        (
            "InvocationResponse",
            record_with(
                &[],
                &[
                    ("predictions", list(any())),
                    ("model_name", text()),
                    ("model_version", text()),
                    ("outputs", outputs()),
                ],
            ),
        ),
    ]
}

pub(super) fn datatype() -> Value {
    let names = Datatype::ALL.map(|datatype| datatype.name());
    json!({ "type": "string", "enum": names })
}

fn tensor(parameters: Value) -> Value {
    let data = json!({
        "type": "array",
        "description": "row-major; nested in the tensor's shape, or flat; absent if the data are binary",
        "items": { "anyOf": [scalar(), list(any())] },
    });
    let dimension = json!({ "type": "integer", "minimum": 0 });

    record_with(
        &[("name", text()), ("datatype", datatype()), ("shape", list(dimension))],
        &[("data", data), ("parameters", parameters)],
    )
}

fn input_parameters() -> Value {
    let size = json!({
        "type": "integer", "minimum": 0,
        "description": "bytes of the tensor after the JSON, in place of data",
    });
    open(record_with(&[], &[("binary_data_size", size)]))
}

fn output_parameters() -> Value {
    let classes = json!({
        "type": "integer", "minimum": 0,
        "description": "the number of largest elements to return in place of the output",
    });
    let members = [("binary_data", boolean()), ("classification", classes)];
    let mut parameters = record_with(&[], &members);
    parameters["additionalProperties"] = scalar();
    parameters
}

/// A record, an envelope, or a list of rows.
fn table() -> Value {
    json!({ "anyOf": [{ "type": "object" }, list(any())] })
}
