//! Columns chosen by their indices.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::{Domain, Operator, for_types};
use onnx_executor::tensor::{Element, ElementType, Shape, Tensor, Text, allocate};

pub(super) const OPERATOR: Operator = Operator {
    domain: Domain::Ml,
    name: "ArrayFeatureExtractor",
    versions: (1, Domain::NEWEST_ML),
    accepts: &[
        ElementType::F32,
        ElementType::F64,
        ElementType::I64,
        ElementType::I32,
        ElementType::Text,
    ],
    build: |node| {
        node.expect(1, &[ElementType::I64])?;
        for_types!(node.input_type(0)?,
            T in [F32(f32), F64(f64), I64(i64), I32(i32), Text(Text)] => extract::<T>(node))
    },
};

fn extract<T: Element>(node: &Node<'_>) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(0)?, |arguments| {
        let input = arguments.get(0)?;
        let indices = arguments.values::<i64>(1)?;
        let columns = input.shape().last().copied().or_rejected("a number has no columns")?;
        let shape = match input.shape().len() {
            1 => Shape::new(&[1, indices.len()])?,
            rank => input.shape().with(rank - 1, indices.len())?,
        };
        let mut chosen = allocate(shape.elements())?;
        for row in input.values::<T>()?.chunks(columns.max(1)) {
            for index in indices {
                let value = usize::try_from(*index).ok().and_then(|index| row.get(index));
                let value = value.or_rejected(format_args!("there is no column {index}"))?;
                chosen.push(value.clone());
            }
        }
        Tensor::new(shape, chosen)
    }))
}

#[cfg(test)]
mod tests {
    use crate::onnx::testing::{Case, ml_case, strings, tensor};

    fn case() -> Case {
        ml_case("ArrayFeatureExtractor", 1)
    }

    #[test]
    fn columns_are_chosen_by_index() {
        let input = tensor(&[2, 3], &[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let got = case().output(&[input, tensor(&[2], &[2_i64, 0])]);
        assert_eq!(got, tensor(&[2, 2], &[3.0_f32, 1.0, 6.0, 4.0]));
        let got = case().output(&[strings(&[2], &["a", "b"]), tensor(&[3], &[1_i64, 0, 1])]);
        assert_eq!(got, strings(&[1, 3], &["b", "a", "b"]));
    }

    #[test]
    fn an_index_out_of_range_is_rejected() {
        let input = || tensor(&[1, 3], &[1_i64, 2, 3]);
        for index in [-1, 3, i64::MIN, i64::MAX] {
            let text = case().error(&[input(), tensor(&[1], &[index])]);
            assert_eq!(text, format!("there is no column {index}"));
        }
    }
}
