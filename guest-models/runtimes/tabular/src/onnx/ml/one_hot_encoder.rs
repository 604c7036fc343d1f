//! Categories as columns of 0 and 1.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::key::{Key, table};
use onnx_executor::operators::{Domain, Operator, truncated};
use onnx_executor::tensor::{Element, ElementType, Shape, Tensor, Text, filled};

pub(super) const OPERATOR: Operator = Operator {
    domain: Domain::Ml,
    name: "OneHotEncoder",
    versions: (1, Domain::NEWEST_ML),
    accepts: &[
        ElementType::I64,
        ElementType::I32,
        ElementType::F32,
        ElementType::F64,
        ElementType::Text,
    ],
    build: |node| {
        let numbers = node.integers("cats_int64s").to_vec();
        let texts = node.texts("cats_strings")?;
        // A number with a fraction is cut to a whole one; what is none is in no category.
        match node.input_type(0)? {
            ElementType::Text => encode(node, texts, |text: &Text| text.clone()),
            ElementType::I32 => encode(node, numbers, |number: &i32| i64::from(*number)),
            ElementType::F32 => encode(node, numbers, |number: &f32| truncated((*number).into())),
            ElementType::F64 => encode(node, numbers, |number: &f64| truncated(*number)),
            _ => encode(node, numbers, |number: &i64| *number),
        }
    },
};

fn encode<T: Element, K: Key>(
    node: &Node<'_>,
    categories: Vec<K>,
    key: fn(&T) -> K,
) -> Result<Kernel, Error> {
    if categories.is_empty() {
        return Err(Error::failed("it has no categories of the input's type"));
    }
    let ignores_unknown = node.flag("zeros", true);
    let width = categories.len();
    let columns = table(categories.into_iter().zip(0_usize..));
    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let input = arguments.get(0)?;
        let mut extents = input.shape().to_vec();
        extents.push(width);
        let shape = Shape::new(&extents)?;
        let mut encoded = filled(shape.elements(), 0.0_f32)?;
        for (value, row) in input.values::<T>()?.iter().zip(encoded.chunks_mut(width)) {
            let column = columns.get(&key(value).form());
            if column.is_none() && !ignores_unknown {
                return Err(Error::rejected("a category that the model does not know"));
            }
            if let Some(column) = column {
                *row.get_mut(*column).or_failed("a column that is not there")? = 1.0;
            }
        }
        Tensor::new(shape, encoded)
    }))
}

#[cfg(test)]
mod tests {
    use crate::onnx::testing::{ml_case, strings, tensor};

    #[test]
    fn categories_become_columns_and_unknown_ones_zeros() {
        let case = ml_case("OneHotEncoder", 1).texts("cats_strings", &["a", "á", ""]);
        let got = case.output(&[strings(&[2, 2], &["á", "zzz", "", "A"])]);
        let rows = [0.0_f32, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
        assert_eq!(got, tensor(&[2, 2, 3], &rows));
    }

    #[test]
    fn whole_numbers_beyond_float_are_apart() {
        let numbers: Vec<i64> = (-3..=5).map(|step| (1 << 24) + step).collect();
        let case = ml_case("OneHotEncoder", 1).ints("cats_int64s", &numbers);
        let got = case.values::<f32>(&[tensor(&[9], &numbers)]);
        let ones: Vec<_> = (0..81).filter(|place| got[*place] == 1.0).collect();
        assert_eq!(ones, (0..9).map(|row| row * 10).collect::<Vec<_>>());
    }

    #[test]
    fn fractions_are_cut_and_nan_is_no_category() {
        let case = ml_case("OneHotEncoder", 1).ints("cats_int64s", &[0, 2]);
        let got = case.values::<f32>(&[tensor(&[3], &[2.9_f32, -0.5, f32::NAN])]);
        assert_eq!(got, [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn unknown_categories_are_rejected_if_asked_for() {
        let case = ml_case("OneHotEncoder", 1).ints("cats_int64s", &[1]).int("zeros", 0);
        assert_eq!(case.values::<f32>(&[tensor(&[1], &[1.0_f32])]), [1.0]);
        assert_eq!(
            case.error(&[tensor(&[1], &[2.0_f32])]),
            "a category that the model does not know"
        );
    }
}
