//! One document in both formats.

use proptest::prelude::*;
use serde_json::json;

use super::ubjson_writer::ubjson;
use super::*;

const FILES: [&[u8]; 14] = [
    data!("threshold.json"),
    data!("categories.json"),
    data!("category_names.json"),
    data!("category_numbers.json"),
    data!("dart.json"),
    data!("dart_as_gbtree.json"),
    data!("linear.json"),
    data!("names.json"),
    data!("quantiles.json"),
    data!("several_labels.json"),
    data!("softmax.json"),
    data!("stopped_estimator.json"),
    data!("vector_leaves.json"),
    data!("version_1.json"),
];

/// Answers the rows with a model, whatever its inputs are.
fn answer(file: &[u8], values: &[f32]) -> Result<Response, String> {
    let predictor =
        crate::open(file, &SavedMetadata::default()).map_err(|error| error.to_string())?;
    let inputs = predictor.metadata().inputs.into_iter().map(|input| {
        let width = *input.shape.last().unwrap() as usize;
        let count = values.len();
        let numbers = values.iter().cycle().copied().take(count * width);
        match input.datatype {
            wardian_sdk::Datatype::Bytes => {
                Tensor::from_strings(&input.name, [count, 1], vec!["Bern"; count])
            }
            wardian_sdk::Datatype::Fp64 => Tensor::new(&input.name, [count, 1], vec![5.0; count]),
            _ => Tensor::new(&input.name, [count, width], numbers),
        }
    });
    predictor.predict(&request(inputs.collect())).map_err(|error| error.to_string())
}

/// Returns the number of values in a document.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(count).sum::<usize>(),
        Value::Object(entries) => 1 + entries.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// Replaces the value of a number.
fn replace(value: &mut Value, index: &mut usize, other: &Value) {
    if *index == 0 {
        *value = other.clone();
    }
    *index = index.wrapping_sub(1);
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, index, other)),
        Value::Object(entries) => {
            entries.values_mut().for_each(|value| replace(value, index, other));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn both_formats_of_a_document_answer_alike(
        file in prop::sample::select(&FILES[..]),
        style in any::<u64>(),
        values in prop::collection::vec(any::<f32>(), 1..5),
    ) {
        let document: Value = serde_json::from_slice(file).unwrap();
        let (text, binary) = (answer(file, &values), answer(&ubjson(&document, style), &values));
        // Of NaN only the presence is compared.
        prop_assert_eq!(format!("{:?}", text), format!("{:?}", binary));
    }

    #[test]
    fn both_formats_of_a_broken_document_are_refused_alike(
        file in prop::sample::select(&FILES[..]),
        place in any::<prop::sample::Index>(),
        other in prop::sample::select(vec![
            json!(null), json!(-1), json!(0), json!(1), json!(2), json!(i64::MAX), json!(1.5), json!(""),
            json!("3"), json!([]), json!([0, 1]), json!({}), json!(true), json!(["x"]),
        ]),
        style in any::<u64>(),
    ) {
        let mut document: Value = serde_json::from_slice(file).unwrap();
        let mut index = place.index(count(&document));
        replace(&mut document, &mut index, &other);
        let text = answer(&serde_json::to_vec(&document).unwrap(), &[0.5, f32::NAN]);
        let binary = answer(&ubjson(&document, style), &[0.5, f32::NAN]);
        match (text, binary) {
            (Ok(text), Ok(binary)) => prop_assert_eq!(format!("{:?}", text), format!("{:?}", binary)),
            (Err(_), Err(_)) => {}
            (text, binary) => prop_assert!(false, "{:?} {:?}", text.err(), binary.err()),
        }
    }
}
