//! Rows divided by their norm.

use wardian_sdk::Error;

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::matrix::floats;
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{ElementType, Tensor};

pub(super) const OPERATOR: Operator = Operator {
    domain: Domain::Ml,
    name: "Normalizer",
    versions: (1, Domain::NEWEST_ML),
    accepts: ElementType::COMMON_NUMBERS,
    build: normalizer,
};

fn normalizer(node: &Node<'_>) -> Result<Kernel, Error> {
    let normalize: fn(&mut [f32]) = match node.text("norm", "MAX")? {
        "MAX" => |row| {
            let highest = row.iter().copied().fold(f32::MIN, f32::max);
            divide(row, highest);
        },
        "L1" => |row| {
            let sum = row.iter().map(|x| x.abs()).sum();
            divide(row, sum);
        },
        "L2" => |row| {
            let squares: f32 = row.iter().map(|x| x * x).sum();
            divide_by_root(row, squares);
        },
        other => return Err(Error::failed(format_args!("the norm {other:?} is unknown"))),
    };
    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let input = arguments.get(0)?;
        let mut values = floats(input)?.into_owned();
        let columns = input.shape().last().copied().unwrap_or(1);
        values.chunks_mut(columns.max(1)).for_each(normalize);
        Tensor::new(*input.shape(), values)
    }))
}

/// Divides by the norm. Rows of zeros stay as they are.
fn divide(row: &mut [f32], norm: f32) {
    if norm != 0.0 {
        row.iter_mut().for_each(|x| *x /= norm);
    }
}

/// Divides by the root of the norm's square. Squares that vanish in float are no reason to divide
/// by zero.
fn divide_by_root(row: &mut [f32], squares: f32) {
    if squares != 0.0 {
        row.iter_mut().for_each(|x| *x = (*x * *x / squares).sqrt().copysign(*x));
    }
}

#[cfg(test)]
mod tests {
    use crate::onnx::testing::{ml_case, tensor};

    fn normalized(norm: &str, row: &[f32]) -> Vec<f32> {
        let case = ml_case("Normalizer", 1).text("norm", norm);
        case.values::<f32>(&[tensor(&[1, row.len()], row)])
    }

    #[test]
    fn rows_are_divided_by_their_norm() {
        assert_eq!(normalized("L1", &[-3.0, 1.0]), [-0.75, 0.25]);
        assert_eq!(normalized("MAX", &[-3.0, 1.5]), [-2.0, 1.0]);
        let root = normalized("L2", &[-3.0, 4.0]);
        assert!((root[0] + 0.6).abs() < 1e-6 && (root[1] - 0.8).abs() < 1e-6);
        for norm in ["MAX", "L1", "L2"] {
            assert_eq!(normalized(norm, &[0.0, 0.0]), [0.0, 0.0]);
        }
    }

    #[test]
    fn each_row_has_its_own_norm() {
        let case = ml_case("Normalizer", 1).text("norm", "L1");
        let rows = tensor(&[2, 2], &[1_i64, 3, 5, 5]);
        assert_eq!(case.values::<f32>(&[rows]), [0.25, 0.75, 0.5, 0.5]);
    }
}
