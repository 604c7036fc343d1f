//! Columns with classes.

use crate::onnx::kernel::Kernel;
use crate::onnx::operators::{Domain, Operator};
use crate::onnx::tensor::ElementType;
use crate::onnx::value_type::Classes;

pub(super) const OPERATOR: Operator = Operator {
    domain: Domain::Ml,
    name: "ZipMap",
    versions: (1, Domain::NEWEST_ML),
    accepts: &[ElementType::F32],
    build: |node| {
        let numbers = node.integers("classlabels_int64s");
        let texts = node.texts("classlabels_strings")?;
        Ok(Kernel::zip_map(if texts.is_empty() {
            Classes::Numbers(numbers.to_vec())
        } else {
            Classes::Texts(texts)
        }))
    },
};
