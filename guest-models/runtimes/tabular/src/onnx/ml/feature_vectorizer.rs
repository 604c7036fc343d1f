//! Columns of several inputs side by side.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::matrix::{dimensions, floats, indices};
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{ElementType, Shape, Tensor, filled};

pub(super) const OPERATOR: Operator = Operator {
    domain: Domain::Ml,
    name: "FeatureVectorizer",
    versions: (1, Domain::NEWEST_ML),
    accepts: ElementType::COMMON_NUMBERS,
    build: feature_vectorizer,
};

fn feature_vectorizer(node: &Node<'_>) -> Result<Kernel, Error> {
    let widths = indices("inputdimensions", node.integers("inputdimensions"))?;
    if widths.len() != node.inputs() {
        let text = format!("{} inputdimensions for {} inputs", widths.len(), node.inputs());
        return Err(Error::failed(text));
    }
    (1..node.inputs()).try_for_each(|input| node.expect(input, ElementType::COMMON_NUMBERS))?;
    let width = Shape::new(&[widths.iter().sum()])?.elements();
    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let (rows, _) = dimensions(arguments.get(0)?)?;
        let shape = Shape::new(&[rows, width])?;
        let mut joined = filled(shape.elements(), 0.0_f32)?;
        let mut first = 0;
        for (input, taken) in widths.iter().enumerate() {
            let tensor = arguments.get(input)?;
            let (given, columns) = dimensions(tensor)?;
            if given != rows {
                return Err(Error::rejected("the inputs differ in their number of rows"));
            }
            let used = columns.min(*taken);
            let numbers = floats(tensor)?;
            let pairs =
                numbers.chunks_exact(columns.max(1)).zip(joined.chunks_exact_mut(width.max(1)));
            for (from, to) in pairs {
                let place = to.get_mut(first..first + used).or_failed("a row is too short")?;
                place.copy_from_slice(&from[..used]);
            }
            first += taken;
        }
        Tensor::new(shape, joined)
    }))
}

#[cfg(test)]
mod tests {
    use crate::onnx::testing::{ml_case, tensor};

    #[test]
    fn inputs_are_cut_or_filled_to_their_width() {
        let case = ml_case("FeatureVectorizer", 1).ints("inputdimensions", &[1, 3]);
        let inputs =
            [tensor(&[2, 2], &[1.0_f32, 2.0, 3.0, 4.0]), tensor(&[2, 2], &[5_i64, 6, 7, 8])];
        let rows = [1.0_f32, 5.0, 6.0, 0.0, 3.0, 7.0, 8.0, 0.0];
        assert_eq!(case.output(&inputs), tensor(&[2, 4], &rows));
    }

    #[test]
    fn sizes_that_lie_are_refused() {
        let case = |widths: &[i64]| ml_case("FeatureVectorizer", 1).ints("inputdimensions", widths);
        let input = || [tensor(&[1, 1], &[1.0_f32])];
        assert!(case(&[1, 1]).error(&input()).ends_with("2 inputdimensions for 1 inputs"));
        assert!(case(&[-1]).error(&input()).ends_with("has the value -1"));
        assert!(case(&[i64::from(u32::MAX)]).error(&input()).contains("larger than"));
    }
}
