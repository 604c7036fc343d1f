//! Answers of files against the library's own; `data/make.py` makes the files.

mod answers;
mod refusals;

use wardian_sdk::{Response, Tensor};

use crate::testing::{refusal, request};
use crate::{Predictor, SavedMetadata};

/// The file that the documentation explains.
fn documented() -> &'static str {
    let page = include_str!("../../../../../../docs/wardian-trees.md");
    let (_, rest) = page.split_once("```json\n").unwrap();
    rest.split_once("```").unwrap().0
}

fn open(text: &str) -> Box<dyn Predictor> {
    crate::open(text.as_bytes(), &SavedMetadata::default()).unwrap()
}

/// A column of numbers.
fn numbers(name: &str, values: &[f64]) -> Tensor {
    Tensor::new(name, [values.len(), 1], values.iter().copied())
}

/// A column of texts.
fn texts(name: &str, values: &[&str]) -> Tensor {
    Tensor::from_strings(name, [values.len(), 1], values)
}

fn output<'a>(response: &'a Response, name: &str) -> &'a Tensor {
    response.outputs.iter().find(|output| output.name == name).unwrap()
}

fn assert_near(tensor: &Tensor, expected: &[f64]) {
    let actual = tensor.view::<f64>().unwrap().to_vec();
    let is_near = |(one, other): (&f64, &f64)| (one - other).abs() <= 1e-14 * other.abs();
    let all = actual.len() == expected.len() && actual.iter().zip(expected).all(is_near);
    assert!(all, "{actual:?} is not {expected:?}");
}
