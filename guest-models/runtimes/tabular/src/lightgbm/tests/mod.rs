//! Answers of files against the library's own; `data/make.py` makes the files.

mod answers;
mod frames;
mod refusals;

use wardian_sdk::{Error, Request, Response, Tensor};

use crate::testing::{refusal, request};
use crate::{Predictor, SavedMetadata};

/// The text of a file in `data`.
macro_rules! data {
    ($name:literal) => {
        include_str!(concat!("data/", $name, ".txt"))
    };
}
use data;

fn open(text: &str) -> Box<dyn Predictor> {
    open_with(text, "{}")
}

fn open_with(text: &str, metadata: &str) -> Box<dyn Predictor> {
    let saved: SavedMetadata = serde_json::from_str(metadata).unwrap();
    crate::open(text.as_bytes(), &saved).unwrap()
}

/// The request with the rows of a matrix.
fn matrix(width: usize, values: &[f64]) -> Request {
    let shape = [values.len() / width, width];
    request(vec![Tensor::new("features", shape, values.iter().copied())])
}

fn output<'a>(response: &'a Response, name: &str) -> &'a Tensor {
    response.outputs.iter().find(|output| output.name == name).unwrap()
}

/// The answers of a model with one column.
fn predict(model: &dyn Predictor, values: &[f64]) -> Vec<f64> {
    let response = model.predict(&matrix(1, values)).unwrap();
    output(&response, "prediction").view::<f64>().unwrap().to_vec()
}

fn assert_near(actual: &[f64], expected: &[f64], tolerance: f64) {
    let is_near = |(actual, expected): (&f64, &f64)| (actual - expected).abs() <= tolerance;
    let all = actual.len() == expected.len() && actual.iter().zip(expected).all(is_near);
    assert!(all, "{actual:?} is not {expected:?}");
}
