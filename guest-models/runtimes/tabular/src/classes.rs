//! The classes of a classifier, and its answer.

use std::collections::BTreeSet;

use serde_json::Value;
use wardian_sdk::{Error, Metadata, OrError, Response, Tensor};

use crate::SavedMetadata;
use model_file::Class;

/// The classes of a classifier, in the order of its probabilities.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Classes {
    Numbers(Vec<i64>),
    Texts(Vec<String>),
}

// === impl Classes ===

impl Classes {
    /// Takes the classes of `metadata.json`, or the numbers from 0.
    ///
    /// # Errors
    /// Failed if there are not `count`, or they are texts beside numbers.
    pub(crate) fn new(count: usize, saved: &SavedMetadata) -> Result<Self, Error> {
        match &saved.classes {
            Some(classes) => Self::named(count, classes),
            None => Ok(Self::Numbers((0..).take(count).collect())),
        }
    }

    /// Takes the classes that a file names.
    ///
    /// # Errors
    /// Failed if there are not `count`, two are the same, or they are texts beside numbers.
    pub(crate) fn named(count: usize, classes: &[Class]) -> Result<Self, Error> {
        if classes.len() != count {
            return Err(Error::failed(format_args!(
                "{} classes are named, and the model has {count}",
                classes.len()
            )));
        }
        let number = |class: &Class| match class {
            Class::Number(number) => Some(*number),
            Class::Text(_) => None,
        };
        let text = |class: &Class| match class {
            Class::Number(_) => None,
            Class::Text(text) => Some(text.clone()),
        };
        let numbers: Option<_> = classes.iter().map(number).collect();
        let texts: Option<_> = classes.iter().map(text).collect();
        let classes = numbers
            .map(Self::Numbers)
            .or(texts.map(Self::Texts))
            .or_failed("the classes are neither all whole numbers nor all texts")?;
        match classes.first_repeated() {
            None => Ok(classes),
            Some(index) => {
                Err(Error::failed(format_args!("class {index} has the name of another")))
            }
        }
    }

    fn first_repeated(&self) -> Option<usize> {
        match self {
            Self::Numbers(numbers) => first_repeated(numbers),
            Self::Texts(texts) => first_repeated(texts),
        }
    }

    /// Returns the number of classes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
        }
    }

    /// Adds the outputs and the property `classes`.
    pub(crate) fn describe(&self, metadata: Metadata) -> Metadata {
        let (metadata, classes): (_, Value) = match self {
            Self::Numbers(numbers) => {
                (metadata.output::<i64>("label", [-1]), numbers.as_slice().into())
            }
            Self::Texts(texts) => {
                (metadata.output::<String>("label", [-1]), texts.as_slice().into())
            }
        };
        metadata
            .output::<f64>("probabilities", [-1, self.len() as i64])
            .property("classes", classes.to_string())
    }

    /// Answers with the index of each row's class, and a probability for each row and class.
    pub(crate) fn response(&self, labels: &[usize], probabilities: Vec<f64>) -> Response {
        let rows = [labels.len()];
        let label = match self {
            Self::Numbers(numbers) => {
                let numbers = labels.iter().filter_map(|index| numbers.get(*index));
                Tensor::new("label", rows, numbers.copied())
            }
            Self::Texts(texts) => {
                let texts = labels.iter().filter_map(|index| texts.get(*index));
                Tensor::from_strings("label", rows, texts)
            }
        };
        let shape = [labels.len(), self.len()];
        Response::new().output(label).output(Tensor::new("probabilities", shape, probabilities))
    }
}

/// Returns the index of the first name that an earlier one has too.
fn first_repeated<T: Ord>(names: &[T]) -> Option<usize> {
    let mut earlier = BTreeSet::new();
    names.iter().position(|name| !earlier.insert(name))
}

/// Adds the probability of the first of two classes to those of the second.
pub(crate) fn of_both(second: &[f64]) -> Vec<f64> {
    second.iter().flat_map(|second| [1.0 - second, *second]).collect()
}
