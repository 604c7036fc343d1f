//! The classes of a classifier, and its answer.

use serde_json::Value;
use wardian_sdk::{Error, Metadata, Response, Tensor};

use crate::SavedMetadata;
use crate::saved_metadata::Class;

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
    /// # Errors Failed if there are not `count`, or they are texts beside numbers.
    pub(crate) fn new(count: usize, saved: &SavedMetadata) -> Result<Self, Error> {
        let Some(classes) = &saved.classes else {
            return Ok(Self::Numbers((0..).take(count).collect()));
        };
        if classes.len() != count {
            return Err(Error::failed(format_args!(
                "metadata.json names {} classes, and the model has {count}",
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
        numbers.map(Self::Numbers).or(texts.map(Self::Texts)).ok_or_else(|| {
            Error::failed("the classes of metadata.json are neither all numbers nor all texts")
        })
    }

    fn len(&self) -> usize {
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

    /// Answers `count` rows. `answers` has a probability for each class, or that of the second of
    /// two.
    pub(crate) fn response(&self, count: usize, answers: Vec<f64>) -> Response {
        let is_second = self.len() == 2 && answers.len() == count;
        let probabilities = match is_second {
            true => answers.into_iter().flat_map(|second| [1.0 - second, second]).collect(),
            false => answers,
        };
        let labels: Vec<_> = probabilities.chunks_exact(self.len()).map(highest).collect();
        let label = match self {
            Self::Numbers(numbers) => Tensor::new(
                "label",
                [count],
                labels.iter().filter_map(|index| numbers.get(*index)).copied(),
            ),
            Self::Texts(texts) => Tensor::from_strings(
                "label",
                [count],
                labels.iter().filter_map(|index| texts.get(*index)),
            ),
        };
        let shape = [count, self.len()];
        Response::new().output(label).output(Tensor::new("probabilities", shape, probabilities))
    }
}

/// Returns the index of the first number that no other exceeds. NaN exceeds all, as in numpy.
fn highest(row: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        let champion = row[best];
        if !champion.is_nan() && (value.is_nan() || *value > champion) {
            best = index;
        }
    }
    best
}
