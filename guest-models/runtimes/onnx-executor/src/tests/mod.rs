//! Tests of whole files.

mod hostile;
mod model;
mod operators;

use model_file::{Predictor, SavedMetadata};
use prost::Message;
use wardian_sdk::{Error, Request, Tensor};

use crate::Registry;
use crate::operators::GENERAL;
use crate::proto::{GraphProto, ModelProto};
use crate::testing::files::file;

/// The operators of these tests.
pub(crate) const REGISTRY: Registry = Registry::new(&[GENERAL]);

/// Opens a file of this graph.
///
/// # Errors
/// The refusal.
fn open_graph(graph: GraphProto) -> Result<Box<dyn Predictor>, Error> {
    open_file(&ModelProto { graph: Some(graph), ..file() })
}

/// Opens a file.
///
/// # Errors
/// The refusal.
fn open_file(file: &ModelProto) -> Result<Box<dyn Predictor>, Error> {
    open(&file.encode_to_vec())
}

/// Returns the text with which a graph is refused.
///
/// # Panics
/// If it is not.
fn refusal(graph: GraphProto) -> String {
    match open_graph(graph) {
        Ok(_) => panic!("it is served"),
        Err(error) => error.to_string(),
    }
}

/// A request of one input.
fn request(input: Tensor) -> Request {
    Request { id: String::new(), parameters: Vec::new(), inputs: vec![input], outputs: Vec::new() }
}

/// Asks a model for the first output of a matrix of two columns.
///
/// # Panics
/// If it fails, or the output is not of float.
pub(crate) fn ask(model: &dyn Predictor, values: &[f32]) -> Vec<f32> {
    let input = Tensor::new("x", [values.len() / 2, 2], values.iter().copied());
    let response = model.predict(&request(input)).unwrap();
    response.outputs[0].view::<f32>().unwrap().to_vec()
}

/// Opens the bytes of a file.
///
/// # Errors
/// The refusal.
fn open(bytes: &[u8]) -> Result<Box<dyn Predictor>, Error> {
    crate::open(bytes.to_vec(), &SavedMetadata::default(), REGISTRY, &|name| {
        Err(Error::failed(format_args!("no file {name:?}")))
    })
}
