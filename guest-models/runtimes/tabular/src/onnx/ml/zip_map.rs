//! Columns with classes.

use onnx_executor::kernel::Kernel;
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::ElementType;
use onnx_executor::value_type::Classes;

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
