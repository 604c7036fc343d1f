//! The parts of ONNX's files that node tests have.

use prost::Message;

use super::tensor::Tensor;

/// A model.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelFile {
    #[prost(message, optional, tag = "7")]
    pub(super) graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Graph {
    #[prost(message, repeated, tag = "11")]
    pub(super) inputs: Vec<Named>,
    #[prost(message, repeated, tag = "12")]
    pub(super) outputs: Vec<Named>,
}

/// An input or an output of a graph.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Named {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

/// A tensor. Strings are in a list, and numbers in one field, whatever their type.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorFile {
    #[prost(int64, repeated, tag = "1")]
    shape: Vec<i64>,
    #[prost(int32, tag = "2")]
    element: i32,
    #[prost(bytes = "vec", repeated, tag = "6")]
    strings: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "9")]
    numbers: Vec<u8>,
}

impl From<TensorFile> for Tensor {
    fn from(file: TensorFile) -> Tensor {
        let (datatype, size) = datatype(file.element);
        let elements: usize = file.shape.iter().map(|length| *length as usize).product();
        let data = match size {
            Some(size) => {
                assert_eq!(file.numbers.len(), elements * size, "{datatype} {:?}", file.shape);
                file.numbers
            }
            None => {
                assert_eq!(file.strings.len(), elements, "{datatype} {:?}", file.shape);
                file.strings.iter().flat_map(|text| with_length(text)).collect()
            }
        };
        Tensor { datatype: datatype.to_owned(), shape: file.shape, data }
    }
}

/// Returns the protocol's name of an element type, and the size of an element that has a fixed one.
fn datatype(element: i32) -> (&'static str, Option<usize>) {
    match element {
        1 => ("FP32", Some(4)),
        2 => ("UINT8", Some(1)),
        3 => ("INT8", Some(1)),
        4 => ("UINT16", Some(2)),
        5 => ("INT16", Some(2)),
        6 => ("INT32", Some(4)),
        7 => ("INT64", Some(8)),
        8 => ("BYTES", None),
        9 => ("BOOL", Some(1)),
        10 => ("FP16", Some(2)),
        11 => ("FP64", Some(8)),
        12 => ("UINT32", Some(4)),
        13 => ("UINT64", Some(8)),
        16 => ("BF16", Some(2)),
        _ => panic!("no request has elements of ONNX's type {element}"),
    }
}

/// Returns an element of `BYTES`: its length in 32 bits, and the bytes.
fn with_length(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_le_bytes(), text].concat()
}
