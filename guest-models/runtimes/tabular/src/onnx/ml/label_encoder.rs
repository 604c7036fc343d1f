//! Values replaced by those that belong to them.

use wardian_sdk::Error;

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::key::{Key, table};
use onnx_executor::operators::{Domain, Operator, for_types};
use onnx_executor::tensor::{Element, ElementType, Tensor, Text, collect};

pub(super) const FIRST: Operator = Operator {
    domain: Domain::Ml,
    name: "LabelEncoder",
    versions: (1, 1),
    accepts: &[ElementType::I64, ElementType::Text],
    build: |node| {
        let classes = node.texts("classes_strings")?;
        by_class(node, classes)
    },
};

pub(super) const SECOND: Operator = Operator {
    domain: Domain::Ml,
    name: "LabelEncoder",
    versions: (2, Domain::NEWEST_ML),
    accepts: &[ElementType::F32, ElementType::F64, ElementType::I64, ElementType::Text],
    build: label_encoder,
};

pub(super) const CATEGORY_MAPPER: Operator = Operator {
    domain: Domain::Ml,
    name: "CategoryMapper",
    versions: (1, Domain::NEWEST_ML),
    accepts: &[ElementType::I64, ElementType::Text],
    build: |node| {
        let (numbers, texts) = (node.integers("cats_int64s").to_vec(), node.texts("cats_strings")?);
        let (number, text) = defaults(node)?;
        match node.input_type(0)? {
            ElementType::Text => map(texts, numbers, number),
            _ => map(numbers, texts, text),
        }
    },
};

/// Maps between texts and their indices in a list.
fn by_class(node: &Node<'_>, classes: Vec<Text>) -> Result<Kernel, Error> {
    let numbers = (0..classes.len() as i64).collect();
    let (number, text) = defaults(node)?;
    match node.input_type(0)? {
        ElementType::Text => map(classes, numbers, number),
        _ => map(numbers, classes, text),
    }
}

/// Reads what unknown values become: a number, a text.
fn defaults(node: &Node<'_>) -> Result<(i64, Text), Error> {
    let text = Text::from(node.text("default_string", "_Unused")?);
    Ok((node.integer("default_int64", -1), text))
}

fn label_encoder(node: &Node<'_>) -> Result<Kernel, Error> {
    let (keys, values) = (list(node, "keys")?, list(node, "values")?);
    let default = default(node, values.element_type())?;
    if keys.element_type() != node.input_type(0)? {
        return Err(Error::failed(format_args!(
            "keys of {} for an input of {}",
            keys.element_type(),
            node.input_type(0)?
        )));
    }
    for_types!(keys.element_type(), K in [F32(f32), F64(f64), I64(i64), Text(Text)] => {
        let keys = keys.into_values::<K>()?;
        for_types!(values.element_type(),
            V in [F32(f32), F64(f64), I64(i64), I32(i32), Text(Text)] =>
            map(keys, values.into_values::<V>()?, first::<V>(&default)?))
    })
}

/// Reads `keys` or `values`, which is one of several attributes.
fn list(node: &Node<'_>, name: &str) -> Result<Tensor, Error> {
    if let Some(tensor) = node.tensor(&format!("{name}_tensor"))? {
        return Ok(tensor);
    }
    let texts = node.texts(&format!("{name}_strings"))?;
    let integers = node.integers(&format!("{name}_int64s"));
    let floats = node.floats(&format!("{name}_floats"));
    match (texts.is_empty(), integers.is_empty(), floats.is_empty()) {
        (false, true, true) => Tensor::vector(texts),
        (true, false, true) => Tensor::vector(integers.to_vec()),
        (true, true, false) => Tensor::vector(floats.to_vec()),
        _ => Err(Error::failed(format_args!("it needs {name} of one type"))),
    }
}

/// Reads what unknown values become.
fn default(node: &Node<'_>, element: ElementType) -> Result<Tensor, Error> {
    let tensor = node.tensor("default_tensor")?;
    let (number, text) = defaults(node)?;
    let float = node.float("default_float", -0.0);
    Ok(match (tensor, element) {
        (Some(tensor), _) => tensor,
        (None, ElementType::Text) => Tensor::scalar(text),
        (None, ElementType::I64) => Tensor::scalar(number),
        (None, ElementType::I32) => Tensor::scalar(number as i32),
        (None, ElementType::F64) => Tensor::scalar(f64::from(float)),
        (None, _) => Tensor::scalar(float),
    })
}

/// Returns a tensor's first element.
fn first<T: Element>(tensor: &Tensor) -> Result<T, Error> {
    let value = tensor.values::<T>()?.first().cloned();
    value.ok_or_else(|| Error::failed("the attribute \"default_tensor\" is empty"))
}

fn map<K: Key, V: Element>(keys: Vec<K>, values: Vec<V>, default: V) -> Result<Kernel, Error> {
    if keys.len() != values.len() {
        let text = format!("it has {} keys and {} values", keys.len(), values.len());
        return Err(Error::failed(text));
    }
    let table = table(keys.into_iter().zip(values));
    Ok(Kernel::new(V::TYPE, move |arguments| {
        let input = arguments.get(0)?;
        let value = |key: &K| table.get(&key.form()).unwrap_or(&default).clone();
        let values = collect(input.values::<K>()?.iter().map(value))?;
        Tensor::from_data(*input.shape(), V::wrap(values))
    }))
}

#[cfg(test)]
mod tests {
    use crate::onnx::testing::{ml_case, strings, tensor};

    #[test]
    fn texts_and_their_numbers_are_exchanged() {
        let case = || ml_case("LabelEncoder", 1).texts("classes_strings", &["a", "b"]);
        assert_eq!(case().values::<i64>(&[strings(&[3], &["b", "a", "z"])]), [1, 0, -1]);
        let texts = case().output(&[tensor(&[3], &[1_i64, 0, 1 << 40])]);
        assert_eq!(texts, strings(&[3], &["b", "a", "_Unused"]));
    }

    #[test]
    fn keys_are_compared_exactly() {
        let case = ml_case("LabelEncoder", 2)
            .texts("keys_strings", &["日本", "", "Zürich", "\u{e9}"])
            .ints("values_int64s", &[1, 2, 1 << 40, 4])
            .int("default_int64", -7);
        let input = strings(&[6], &["", "日本", "Zürich", "\u{e9}", "e\u{301}", "zürich"]);
        assert_eq!(case.values::<i64>(&[input]), [2, 1, 1 << 40, 4, -7, -7]);
    }

    #[test]
    fn numbers_find_nan_and_both_zeros() {
        let case = ml_case("LabelEncoder", 4)
            .floats("keys_floats", &[f32::NAN, 0.0])
            .texts("values_strings", &["missing", "zero"]);
        let input = tensor(&[3], &[f32::NAN, -0.0, 1.0]);
        assert_eq!(case.output(&[input]), strings(&[3], &["missing", "zero", "_Unused"]));
    }

    #[test]
    fn lists_that_do_not_fit_are_refused() {
        let case = ml_case("LabelEncoder", 2).ints("keys_int64s", &[1]);
        let text = case.error(&[tensor(&[1], &[1_i64])]);
        assert!(text.ends_with("it needs values of one type"), "{text}");
        let text = case.ints("values_int64s", &[1, 2]).error(&[tensor(&[1], &[1_i64])]);
        assert!(text.ends_with("it has 1 keys and 2 values"), "{text}");
    }

    #[test]
    fn categories_are_mapped_in_both_directions() {
        let case = || {
            ml_case("CategoryMapper", 1)
                .texts("cats_strings", &["x", "y"])
                .ints("cats_int64s", &[10, 20])
        };
        assert_eq!(case().values::<i64>(&[strings(&[1, 3], &["y", "x", ""])]), [20, 10, -1]);
        let texts = case().output(&[tensor(&[2], &[20_i64, 0])]);
        assert_eq!(texts, strings(&[2], &["y", "_Unused"]));
    }
}
