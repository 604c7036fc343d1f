//! Files for tests, made of messages.

use crate::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// ONNX's number of float.
pub const FLOAT: i32 = 1;
/// ONNX's number of int64.
pub const INT64: i32 = 7;

/// A file of IR version 8 for opset 17, without nodes.
pub fn file() -> ModelProto {
    let import = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
    ModelProto {
        ir_version: 8,
        producer_name: "skl2onnx".into(),
        producer_version: "1.20.0".into(),
        opset_import: vec![import("", 17), import("ai.onnx.ml", 1)],
        graph: Some(GraphProto::default()),
        functions: Vec::new(),
    }
}

/// A node.
pub fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
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
pub fn value(name: &str, elem_type: i32, shape: &[Option<i64>]) -> ValueInfoProto {
    let dim = shape.iter().map(|extent| DimensionProto { dim_value: *extent }).collect();
    let shape = Some(TensorShapeProto { dim });
    let tensor_type = Some(TensorTypeProto { elem_type, shape });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}

/// A constant of float.
pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: FLOAT,
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// An attribute of a whole number.
pub fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: Some(value), ..AttributeProto::default() }
}

/// A graph of these nodes from `x` [rows, 2] to `y`.
pub fn graph(nodes: Vec<NodeProto>) -> GraphProto {
    GraphProto {
        node: nodes,
        input: vec![value("x", FLOAT, &[None, Some(2)])],
        output: vec![value("y", FLOAT, &[None, Some(2)])],
        ..GraphProto::default()
    }
}
