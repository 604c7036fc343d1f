//! Numbers shifted and scaled by column.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::matrix::of_column;
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{Element, ElementType, Tensor, allocate};

pub(super) const OPERATOR: Operator = Operator {
    domain: Domain::Ml,
    name: "Scaler",
    versions: (1, Domain::NEWEST_ML),
    accepts: ElementType::COMMON_NUMBERS,
    build: |node| match node.input_type(0)? {
        ElementType::F64 => scale::<f64>(node, |x, offset, scale| {
            ((x - f64::from(offset)) * f64::from(scale)) as f32
        }),
        ElementType::I64 => scale::<i64>(node, |x, offset, scale| (x as f32 - offset) * scale),
        ElementType::I32 => scale::<i32>(node, |x, offset, scale| (x as f32 - offset) * scale),
        _ => scale::<f32>(node, |x, offset, scale| (x - offset) * scale),
    },
};

fn scale<T: Element + Copy>(
    node: &Node<'_>,
    apply: fn(T, f32, f32) -> f32,
) -> Result<Kernel, Error> {
    let given = |name| match node.floats(name) {
        [] => Err(Error::failed(format_args!("the attribute {name:?} is missing"))),
        numbers => Ok(numbers.to_vec()),
    };
    let offsets = node.floats("offset").to_vec();
    let offsets = if offsets.is_empty() { vec![0.0] } else { offsets };
    let scales = given("scale")?;
    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let input = arguments.get(0)?;
        let columns = input.shape().last().copied().unwrap_or(1);
        let mut scaled = allocate(input.len())?;
        for row in input.values::<T>()?.chunks(columns.max(1)) {
            for (column, x) in row.iter().enumerate() {
                let offset = of_column(&offsets, column).or_rejected("a row is too long")?;
                let scale = of_column(&scales, column).or_rejected("a row is too long")?;
                scaled.push(apply(*x, offset, scale));
            }
        }
        Tensor::new(*input.shape(), scaled)
    }))
}

#[cfg(test)]
mod tests {
    use crate::onnx::testing::{ml_case, tensor};

    #[test]
    fn columns_are_shifted_then_scaled() {
        let case = ml_case("Scaler", 1).floats("offset", &[1.0, 2.0]).floats("scale", &[10.0, 0.5]);
        let input = tensor(&[2, 2], &[3.0_f32, 4.0, f32::NAN, 2.0]);
        let got = case.values::<f32>(&[input]);
        assert_eq!(got[..2], [20.0, 1.0]);
        assert!(got[2].is_nan() && got[3] == 0.0);
        assert_eq!(case.values::<f32>(&[tensor(&[1, 2], &[3_i64, 4])]), [20.0, 1.0]);
        let near = tensor(&[1, 2], &[1.000_000_001_f64, 2.0]);
        assert!(case.values::<f32>(&[near])[0] > 0.0, "doubles are not cut before the difference");
    }

    #[test]
    fn one_number_is_for_all_columns() {
        let case = ml_case("Scaler", 1).floats("offset", &[1.0]).floats("scale", &[2.0]);
        assert_eq!(case.values::<f32>(&[tensor(&[1, 3], &[1.0_f32, 2.0, 3.0])]), [0.0, 2.0, 4.0]);
        let short = ml_case("Scaler", 1).floats("scale", &[2.0, 3.0]);
        assert_eq!(short.error(&[tensor(&[1, 3], &[1.0_f32; 3])]), "a row is too long");
    }
}
