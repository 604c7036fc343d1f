//! Numbers above a threshold.

use wardian_sdk::Error;

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::{Domain, Operator, for_types};
use onnx_executor::tensor::{Element, ElementType, Tensor, collect};

pub(super) const OPERATOR: Operator = Operator {
    domain: Domain::Ml,
    name: "Binarizer",
    versions: (1, Domain::NEWEST_ML),
    accepts: ElementType::COMMON_NUMBERS,
    build: |node| {
        let threshold = node.float("threshold", 0.0);
        for_types!(node.input_type(0)?, T in common => binarize::<T>(node, threshold as T, 0 as T, 1 as T))
    },
};

/// 1 above the threshold, else 0, also for NaN.
fn binarize<T: Element + Copy + PartialOrd>(
    node: &Node<'_>,
    threshold: T,
    low: T,
    high: T,
) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let input = arguments.get(0)?;
        let values = input.values::<T>()?.iter();
        let binary = values.map(|value| if *value > threshold { high } else { low });
        Tensor::new(*input.shape(), collect(binary)?)
    }))
}

#[cfg(test)]
mod tests {
    use crate::onnx::testing::{ml_case, strings, tensor};

    #[test]
    fn numbers_above_the_threshold_become_one() {
        let case = ml_case("Binarizer", 1).float("threshold", 0.5);
        let input = tensor(&[2, 2], &[0.5_f32, 0.75, f32::NAN, -1.0]);
        assert_eq!(case.output(&[input]), tensor(&[2, 2], &[0.0_f32, 1.0, 0.0, 0.0]));
    }

    #[test]
    fn texts_and_unknown_attributes_are_refused() {
        let case = ml_case("Binarizer", 1).float("limit", 0.5);
        let start = "operator Binarizer (ai.onnx.ml 1) of node 'n': ";
        let text = case.error(&[strings(&[1], &["a"])]);
        assert_eq!(text, format!("{start}input 0 of type string is not served"));
        let text = case.error(&[tensor(&[1], &[0.5_f32])]);
        assert_eq!(text, format!("{start}the attribute \"limit\" is not served, or occurs twice"));
    }
}
