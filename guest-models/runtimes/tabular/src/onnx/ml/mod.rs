//! The operators of ai.onnx.ml, and those of text.

mod binarizer;
mod zip_map;

use super::operators::Operator;

pub(crate) const OPERATORS: &[Operator] = &[binarizer::OPERATOR, zip_map::OPERATOR];
