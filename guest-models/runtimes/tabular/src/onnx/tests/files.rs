//! Files for tests, made of messages.

use prost::Message;
use wardian_sdk::{Error, Request, Tensor};

use crate::SavedMetadata;
use crate::onnx::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::{Predictor, open};

/// ONNX's number of float.
pub(super) const FLOAT: i32 = 1;
/// ONNX's number of int64.
pub(super) const INT64: i32 = 7;

/// A file of IR version 8 for opset 17, without nodes.
pub(super) fn file() -> ModelProto {
    let import = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
    ModelProto {
        ir_version: 8,
        producer_name: "skl2onnx".into(),
        producer_version: "1.20.0".into(),
        opset_import: vec![import("", 17), import("ai.onnx.ml", 1)],
        graph: Some(GraphProto::default()),
    }
}

/// A node.
pub(super) fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    NodeProto {
        op_type: operator.into(),
        name: format!("{operator} node"),
        input: owned(inputs),
        output: owned(outputs),
        ..NodeProto::default()
    }
}

/// An input or output; `None` is a dimension that varies.
pub(super) fn value(name: &str, elem_type: i32, shape: &[Option<i64>]) -> ValueInfoProto {
    let dim = shape.iter().map(|extent| DimensionProto { dim_value: *extent }).collect();
    let shape = Some(TensorShapeProto { dim });
    let tensor_type = Some(TensorTypeProto { elem_type, shape });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}

/// A constant of float.
pub(super) fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: FLOAT,
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// An attribute of a whole number.
pub(super) fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: Some(value), ..AttributeProto::default() }
}

/// A graph of these nodes from `x` [rows, 2] to `y`.
pub(super) fn graph(nodes: Vec<NodeProto>) -> GraphProto {
    GraphProto {
        node: nodes,
        input: vec![value("x", FLOAT, &[None, Some(2)])],
        output: vec![value("y", FLOAT, &[None, Some(2)])],
        ..GraphProto::default()
    }
}

/// Opens a file of this graph.
///
/// # Errors The refusal.
pub(super) fn open_graph(graph: GraphProto) -> Result<Box<dyn Predictor>, Error> {
    open_file(&ModelProto { graph: Some(graph), ..file() })
}

/// Opens a file.
///
/// # Errors The refusal.
pub(super) fn open_file(file: &ModelProto) -> Result<Box<dyn Predictor>, Error> {
    open(&file.encode_to_vec(), &SavedMetadata::default())
}

/// Returns the text with which a graph is refused.
///
/// # Panics If it is not.
pub(super) fn refusal(graph: GraphProto) -> String {
    match open_graph(graph) {
        Ok(_) => panic!("it is served"),
        Err(error) => error.to_string(),
    }
}

/// A request of one input.
pub(super) fn request(input: Tensor) -> Request {
    crate::testing::request(vec![input])
}

/// Asks a model for the first output of a matrix of two columns.
///
/// # Panics If it fails, or the output is not of float.
pub(super) fn ask(model: &dyn Predictor, values: &[f32]) -> Vec<f32> {
    let input = Tensor::new("x", [values.len() / 2, 2], values.iter().copied());
    let response = model.predict(&request(input)).unwrap();
    response.outputs[0].view::<f32>().unwrap().to_vec()
}
