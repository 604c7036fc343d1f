//! The labels of a classifier.

use wardian_sdk::{Error, OrError};

use onnx_executor::node::Node;
use onnx_executor::tensor::{ElementType, Tensor, Text};

/// The labels of the classes, in their order.
pub(super) enum Labels {
    Numbers(Vec<i64>),
    Texts(Vec<Text>),
}

impl Labels {
    /// Reads the labels from the attributes of these names.
    ///
    /// # Errors
    /// Failed if there are fewer than two.
    pub(super) fn read(node: &Node<'_>, numbers: &str, texts: &str) -> Result<Self, Error> {
        let numbers = node.integers(numbers);
        let texts = node.texts(texts)?;
        let labels =
            if texts.is_empty() { Self::Numbers(numbers.to_vec()) } else { Self::Texts(texts) };
        if labels.len() < 2 {
            return Err(Error::failed("a classifier of fewer than two classes is not served"));
        }
        Ok(labels)
    }

    /// Returns the number of classes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
        }
    }

    /// Returns the type of labels.
    pub(super) fn element_type(&self) -> ElementType {
        match self {
            Self::Numbers(_) => ElementType::I64,
            Self::Texts(_) => ElementType::Text,
        }
    }

    /// Makes a tensor of the labels of classes.
    ///
    /// # Errors
    /// Failed if there is no such class.
    pub(super) fn of(&self, classes: &[usize]) -> Result<Tensor, Error> {
        match self {
            Self::Numbers(numbers) => Tensor::vector(select(numbers, classes)?),
            Self::Texts(texts) => Tensor::vector(select(texts, classes)?),
        }
    }
}

fn select<T: Clone>(labels: &[T], classes: &[usize]) -> Result<Vec<T>, Error> {
    let label = |class: &usize| labels.get(*class).cloned().or_failed("a class without label");
    classes.iter().map(label).collect()
}

/// Returns the index of the highest score, the first of equal ones.
pub(super) fn highest<T: PartialOrd + Copy>(scores: impl IntoIterator<Item = T>) -> usize {
    let mut best: Option<(usize, T)> = None;
    for (class, score) in scores.into_iter().enumerate() {
        if best.is_none_or(|(_, highest)| score > highest) {
            best = Some((class, score));
        }
    }
    best.map_or(0, |(class, _)| class)
}
