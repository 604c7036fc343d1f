//! The files of `data` were made by `data/make.py`; expected values are the library's answers.

mod agreement;
mod answers;
mod frames;
mod hostile;
mod known_bugs;
mod refusals;
mod ubjson_writer;

use serde_json::Value;
use wardian_sdk::{Element, Error, Response, Tensor};

use crate::testing::{refusal, request};
use crate::{Predictor, SavedMetadata};

/// The bytes of a file of `data`.
macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("data/", $name)).as_slice()
    };
}
use data;

/// Opens a file.
fn open(file: &[u8]) -> Box<dyn Predictor> {
    open_with(file, "{}")
}

/// Opens a file beside a `metadata.json`.
fn open_with(file: &[u8], metadata: &str) -> Box<dyn Predictor> {
    crate::open(file, &serde_json::from_str(metadata).unwrap()).unwrap()
}

/// Changes a document.
fn changed(file: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut document = serde_json::from_slice(file).unwrap();
    change(&mut document);
    serde_json::to_vec(&document).unwrap()
}

/// The path of the model of a booster of trees.
fn model(document: &mut Value) -> &mut Value {
    &mut document["learner"]["gradient_booster"]["model"]
}

/// Asks about rows.
fn ask(predictor: &dyn Predictor, rows: &[&[f32]]) -> Response {
    let shape = [rows.len(), rows.first().map_or(1, |row| row.len())];
    let values = rows.iter().flat_map(|row| row.iter().copied());
    predictor.predict(&request(vec![Tensor::new("features", shape, values)])).unwrap()
}

/// Asks about rows of one column.
fn ask_one_column(predictor: &dyn Predictor, values: &[f32]) -> Response {
    let rows: Vec<_> = values.iter().map(std::slice::from_ref).collect();
    ask(predictor, &rows)
}

/// Returns an output.
fn output<T: Element>(response: &Response, name: &str) -> Vec<T> {
    let output = response.outputs.iter().find(|output| output.name == name);
    output.unwrap_or_else(|| panic!("no output {name}")).view::<T>().unwrap().to_vec()
}

/// Returns the predictions for rows of one column.
fn predictions(file: &[u8], values: &[f32]) -> Vec<f32> {
    output(&ask_one_column(&*open(file), values), "prediction")
}

/// Returns the probabilities of the second of two classes, for rows of one column.
fn second(file: &[u8], values: &[f32]) -> Vec<f32> {
    let both: Vec<f32> = output(&ask_one_column(&*open(file), values), "probabilities");
    both.chunks(2).map(|pair| pair[1]).collect()
}

/// Compares within a millionth.
fn assert_near(found: &[f32], expected: &[f32]) {
    let near = |(found, expected): (&f32, &f32)| (found - expected).abs() <= expected.abs() * 2e-6;
    let are_near = found.len() == expected.len() && found.iter().zip(expected).all(near);
    assert!(are_near, "{found:?} is not {expected:?}");
}
