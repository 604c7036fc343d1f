//! Elements divided by the norm of their group.

use wardian_sdk::Error;

use super::along_axis::along_axis;
use super::number::Number;
use super::{Operator, for_types};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::ElementType;

/// The operators of this file.
pub const OPERATORS: &[Operator] =
    &[Operator::onnx("LpNormalization", 1, ElementType::FLOATS, lp_normalization)];

fn lp_normalization(node: &Node<'_>) -> Result<Kernel, Error> {
    let axis = node.integer("axis", -1);
    let power = node.integer("p", 2);
    for_types!(node.input_type(0)?, T in floats => {
        let norm: fn(&[T]) -> f64 = match power {
            1 => absolute_sum,
            2 => length,
            other => {
                return Err(Error::failed(format_args!("p is {other}, where 1 and 2 are served")));
            }
        };
        along_axis::<T>(node, axis, move |group| divide(group, norm(group)))
    })
}

fn absolute_sum<T: Number>(group: &[T]) -> f64 {
    group.iter().map(|value| value.to_f64().abs()).sum()
}

fn length<T: Number>(group: &[T]) -> f64 {
    let squares = group.iter().map(|value| value.to_f64() * value.to_f64());
    squares.sum::<f64>().sqrt()
}

/// Divides by the norm. Zeros stay zeros.
fn divide<T: Number>(group: &mut [T], norm: f64) {
    if norm != 0.0 {
        group.iter_mut().for_each(|value| *value = T::from_f64(value.to_f64() / norm));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Case, tensor};
    use crate::tests::REGISTRY;

    #[test]
    fn rows_are_divided_by_their_norm_and_zeros_stay() {
        let case = Case::new(REGISTRY, "LpNormalization", 22).int("p", 1);
        let got = case.values::<f32>(&[tensor(&[2, 2], &[0.0_f32, 0.0, -3.0, 1.0])]);
        assert_eq!(got, [0.0, 0.0, -0.75, 0.25]);
    }

    #[test]
    fn columns_are_divided_by_their_length() {
        let case = Case::new(REGISTRY, "LpNormalization", 1).int("axis", 0);
        let got = case.values::<f64>(&[tensor(&[2, 2], &[3.0_f64, 0.0, -4.0, 2.0])]);
        assert_eq!(got, [0.6, 0.0, -0.8, 1.0]);
    }

    #[test]
    fn the_middle_axis_is_normalized() {
        let case = Case::new(REGISTRY, "LpNormalization", 22).int("axis", 1).int("p", 1);
        let got = case
            .values::<f64>(&[tensor(&[2, 2, 2], &[1.0_f64, 5.0, 3.0, 5.0, 0.0, 2.0, 0.0, 6.0])]);
        assert_eq!(got, [0.25, 0.5, 0.75, 0.5, 0.0, 0.25, 0.0, 0.75]);
    }

    #[test]
    fn squares_beyond_float_do_not_matter() {
        let got = Case::new(REGISTRY, "LpNormalization", 1)
            .values::<f32>(&[tensor(&[2], &[3e30_f32, 4e30])]);
        assert!((got[0] - 0.6).abs() < 1e-6 && (got[1] - 0.8).abs() < 1e-6, "{got:?}");
    }

    #[test]
    fn other_norms_are_refused() {
        let case = Case::new(REGISTRY, "LpNormalization", 22).int("p", 3);
        let error = case.run_with(&[Some(tensor(&[1], &[1.0_f32]))], false).unwrap_err();
        assert!(error.to_string().contains("p is 3, where 1 and 2 are served"), "{error}");
    }
}
