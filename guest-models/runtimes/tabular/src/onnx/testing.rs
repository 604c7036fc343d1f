//! Nodes of this runtime's operators, for tests.

pub(crate) use onnx_executor::testing::{Case, strings, tensor};

use super::OPERATORS;

/// A node of ai.onnx with one output.
pub(crate) fn onnx_case(operator: &str, version: i64) -> Case {
    Case::new(OPERATORS, operator, version)
}

/// A node of ai.onnx.ml with one output.
pub(crate) fn ml_case(operator: &str, version: i64) -> Case {
    onnx_case(operator, version).domain("ai.onnx.ml")
}
