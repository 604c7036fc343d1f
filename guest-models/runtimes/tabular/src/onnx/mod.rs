//! ONNX graphs, as `skl2onnx` and `onnxmltools` write them.

mod kernel;
mod ml;
mod node;
mod operators;
mod program;
mod proto;
mod registry;
mod tensor;
mod value_type;

#[cfg(test)]
mod testing;

pub(crate) use program::Program;
