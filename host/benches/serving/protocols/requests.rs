//! The same question to a model in each protocol, and the numbers of its answer.

use anyhow::{Context, Result};
use bytes::Bytes;
use prost::Message;
use serde_json::{Value, json};

use super::messages::{InferTensor, ModelInferRequest, ModelInferResponse};
use crate::http_client::post;
use crate::models;

/// A way to ask a model.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Json,
    Binary,
    Predict,
    Embeddings,
    Grpc,
}

impl Protocol {
    /// The name in the tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Protocol::Json => "v2 JSON",
            Protocol::Binary => "v2 binary",
            Protocol::Predict => "predict",
            Protocol::Embeddings => "embeddings",
            Protocol::Grpc => "gRPC raw",
        }
    }
}

/// One row for a model, with the numbers of the answer.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) model: String,
    input: InferTensor,
    data: Value,
    raw: Bytes,
    record: Value,
    answer: Vec<f64>,
    /// Bytes of each number in a raw answer.
    width: usize,
}

/// The text for the model that embeds. Its vector is of 5 vowels, 5 other letters and 4 spaces.
const TEXT: &str = "a cat on a mat";
const COUNTS: [f64; 3] = [5.0, 5.0, 4.0];

/// The columns of `house-price`.
const COLUMNS: [&str; 11] = [
    "lotsize", "bedrooms", "bathrms", "stories", "driveway", "recroom", "fullbase", "gashw",
    "airco", "garagepl", "prefarea",
];

/// The golden requests of `house-price`, for a model of that name.
pub(super) fn houses(model: &str) -> Result<Vec<Question>> {
    let cases = models::cases()?;
    cases.iter().map(|case| house(model, case).context("a golden case is odd")).collect()
}

fn house(model: &str, case: &models::Case) -> Option<Question> {
    let request: Value = serde_json::from_slice(&case.request).ok()?;
    let data = request["inputs"][0]["data"].clone();
    let values: Vec<f64> = data.as_array()?.iter().filter_map(Value::as_f64).collect();
    let record = COLUMNS.iter().zip(&values).map(|(name, value)| ((*name).into(), json!(value)));

    Some(Question {
        model: model.into(),
        input: tensor("features", "FP64", &[1, COLUMNS.len() as i64]),
        raw: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        record: Value::Object(record.collect()),
        data,
        answer: vec![case.answer.as_f64()?],
        width: size_of::<f64>(),
    })
}

/// A text for the test guest `embedder`.
pub(super) fn text(model: &str) -> Question {
    let length = COUNTS.iter().map(|count| count * count).sum::<f64>().sqrt();
    Question {
        model: model.into(),
        input: tensor("text", "BYTES", &[1]),
        data: json!([TEXT]),
        raw: [&(TEXT.len() as u32).to_le_bytes(), TEXT.as_bytes()].concat().into(),
        record: json!({ "text": TEXT }),
        answer: COUNTS.map(|count| count / length).into(),
        width: size_of::<f32>(),
    }
}

fn tensor(name: &str, datatype: &str, shape: &[i64]) -> InferTensor {
    let (name, datatype, shape) = (name.into(), datatype.into(), shape.into());
    InferTensor { name, datatype, shape, ..InferTensor::default() }
}

impl Question {
    /// The question as a request of HTTP/1.1. `Grpc` has none, and gives the one in JSON.
    pub(super) fn http(&self, protocol: Protocol) -> Vec<u8> {
        const JSON: &str = "content-type: application/json\r\n";
        let path = |end| format!("/v2/models/{}/{end}", self.model);

        match protocol {
            Protocol::Json | Protocol::Grpc => post(&path("infer"), JSON, &self.json()),
            Protocol::Binary => {
                let head = self.binary_head();
                let headers = format!(
                    "content-type: application/octet-stream\r\ninference-header-content-length: {}\r\n",
                    head.len()
                );
                post(&path("infer"), &headers, &[head.as_bytes(), &self.raw].concat())
            }
            Protocol::Predict => post(&path("predict"), JSON, self.record.to_string().as_bytes()),
            Protocol::Embeddings => {
                let body = json!({ "model": self.model, "input": self.data[0] });
                post("/v1/embeddings", JSON, body.to_string().as_bytes())
            }
        }
    }

    fn json(&self) -> Vec<u8> {
        let InferTensor { name, datatype, shape, .. } = &self.input;
        let input =
            json!({ "name": name, "datatype": datatype, "shape": shape, "data": self.data });
        json!({ "inputs": [input] }).to_string().into_bytes()
    }

    fn binary_head(&self) -> String {
        let InferTensor { name, datatype, shape, .. } = &self.input;
        let size = json!({ "binary_data_size": self.raw.len() });
        let input =
            json!({ "name": name, "datatype": datatype, "shape": shape, "parameters": size });
        json!({ "inputs": [input], "parameters": { "binary_data_output": true } }).to_string()
    }

    /// The question as a message of gRPC.
    pub(super) fn message(&self) -> Vec<u8> {
        let request = ModelInferRequest {
            model_name: self.model.clone(),
            inputs: vec![self.input.clone()],
            raw_input_contents: vec![self.raw.clone()],
            ..ModelInferRequest::default()
        };
        request.encode_to_vec()
    }

    /// True if a body, or a message of gRPC, is the answer.
    pub(super) fn is_answered_by(&self, protocol: Protocol, body: &[u8]) -> bool {
        let numbers = match protocol {
            Protocol::Grpc => self.numbers_of_message(body),
            Protocol::Binary => self.numbers_at_end(body),
            Protocol::Json => numbers(&parse(body)["outputs"][0]["data"]),
            Protocol::Predict => numbers(&parse(body)["predictions"][0]),
            Protocol::Embeddings => numbers(&parse(body)["data"][0]["embedding"]),
        };
        let same = |(one, other): (&f64, &f64)| (one - other).abs() <= 1e-6 * other.abs();
        numbers.len() == self.answer.len() && numbers.iter().zip(&self.answer).all(same)
    }

    fn numbers_of_message(&self, message: &[u8]) -> Vec<f64> {
        let response = ModelInferResponse::decode(message).unwrap_or_default();
        response.raw_output_contents.first().map_or(Vec::new(), |raw| self.numbers_of(raw))
    }

    /// The numbers of a body that ends with a raw tensor.
    fn numbers_at_end(&self, body: &[u8]) -> Vec<f64> {
        let start = body.len().saturating_sub(self.answer.len() * self.width);
        self.numbers_of(&body[start..])
    }

    fn numbers_of(&self, raw: &[u8]) -> Vec<f64> {
        match self.width {
            8 => raw.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
            _ => raw.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes).into()).collect(),
        }
    }
}

fn parse(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// The numbers in a number, in a list of numbers, or in an object that has one of them.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_f64).collect(),
        Value::Object(outputs) => outputs.values().flat_map(numbers).collect(),
        one => one.as_f64().into_iter().collect(),
    }
}
