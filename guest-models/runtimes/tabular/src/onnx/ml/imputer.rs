//! Missing values replaced by column.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::matrix::of_column;
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{Element, ElementType, Tensor};

pub(super) const OPERATOR: Operator = Operator {
    domain: Domain::Ml,
    name: "Imputer",
    versions: (1, Domain::NEWEST_ML),
    accepts: ElementType::COMMON_NUMBERS,
    build: imputer,
};

fn imputer(node: &Node<'_>) -> Result<Kernel, Error> {
    let floats = node.floats("imputed_value_floats");
    let integers = node.integers("imputed_value_int64s");
    let float = node.float("replaced_value_float", 0.0);
    let integer = node.integer("replaced_value_int64", 0);
    match node.input_type(0)? {
        ElementType::F32 => replace(node, floats.to_vec(), float, |x: f32| x.is_nan()),
        ElementType::F64 => {
            let values = floats.iter().copied().map(f64::from).collect();
            replace(node, values, f64::from(float), |x: f64| x.is_nan())
        }
        ElementType::I64 => replace(node, integers.to_vec(), integer, |_| false),
        _ => {
            let narrow = |x: &i64| i32::try_from(*x).or_failed("an imputed value beyond int32");
            let values = integers.iter().map(narrow).collect::<Result<_, _>>()?;
            replace(node, values, narrow(&integer)?, |_| false)
        }
    }
}

fn replace<T: Element + Copy>(
    node: &Node<'_>,
    values: Vec<T>,
    missing: T,
    is_nan: fn(T) -> bool,
) -> Result<Kernel, Error> {
    if values.is_empty() {
        return Err(Error::failed("it has no imputed values of the input's type"));
    }
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let input = arguments.take(0)?;
        let shape = *input.shape();
        let columns = shape.last().copied().unwrap_or(1);
        let mut numbers = input.into_values::<T>()?;
        for row in numbers.chunks_mut(columns.max(1)) {
            for (column, number) in row.iter_mut().enumerate() {
                if *number == missing || (is_nan(missing) && is_nan(*number)) {
                    *number = of_column(&values, column).or_rejected("a row is too long")?;
                }
            }
        }
        Tensor::new(shape, numbers)
    }))
}

#[cfg(test)]
mod tests {
    use crate::onnx::testing::{ml_case, tensor};

    #[test]
    fn only_the_missing_value_is_replaced() {
        let input = || tensor(&[2, 2], &[f32::NAN, -1.0, 0.0, f32::NAN]);
        let case = |missing| {
            ml_case("Imputer", 1)
                .floats("imputed_value_floats", &[7.0, 8.0])
                .float("replaced_value_float", missing)
        };
        assert_eq!(case(f32::NAN).values::<f32>(&[input()]), [7.0, -1.0, 0.0, 8.0]);
        let got = case(-1.0).values::<f32>(&[input()]);
        assert!(got[0].is_nan() && got[1] == 8.0 && got[2] == 0.0);
    }

    #[test]
    fn whole_numbers_have_values_of_their_own() {
        let case = ml_case("Imputer", 1).ints("imputed_value_int64s", &[5]);
        assert_eq!(case.values::<i64>(&[tensor(&[1, 3], &[0_i64, 1, 0])]), [5, 1, 5]);
        let text = case.error(&[tensor(&[1, 1], &[0.0_f32])]);
        assert!(text.ends_with("it has no imputed values of the input's type"), "{text}");
    }
}
