//! The outputs of a model: `prediction`, or `label` and `probabilities`.

use serde_json::Value;
use wardian_sdk::{Error, Metadata, Response, Tensor};

use super::objective::{Answer, Objective};
use crate::SavedMetadata;
use crate::classes::Classes;

/// The outputs of a model.
pub(super) struct Outputs {
    objective: Objective,
    /// The number of the booster's outputs.
    width: usize,
    /// The classes; `None` if a row has no label, or several.
    classes: Option<Classes>,
}

// === impl Outputs ===

impl Outputs {
    /// Decides on the outputs of a model with so many sums for each row.
    ///
    /// # Errors
    /// Failed if `metadata.json` names another number of classes.
    pub(super) fn new(
        objective: Objective,
        width: usize,
        saved: &SavedMetadata,
    ) -> Result<Self, Error> {
        let classes = match objective.answer {
            Answer::Binary if width == 1 => Some(Classes::new(2, saved)?),
            Answer::Classes | Answer::ClassesBySum => Some(Classes::new(width, saved)?),
            Answer::Values | Answer::Binary => None,
        };
        Ok(Self { objective, width, classes })
    }

    /// Adds the outputs to a model's metadata.
    pub(super) fn declare(&self, metadata: Metadata) -> Metadata {
        let width = self.width as i64;
        let (labels, probabilities) = match self.objective.answer {
            Answer::Values if width == 1 => return metadata.output::<f32>("prediction", [-1]),
            Answer::Values => return metadata.output::<f32>("prediction", [-1, width]),
            Answer::Binary if width == 1 => (vec![-1], 2),
            Answer::Binary => (vec![-1, width], width),
            Answer::Classes | Answer::ClassesBySum => (vec![-1], width),
        };
        let metadata = declare_labels(metadata, self.classes.as_ref(), labels);
        metadata.output::<f32>("probabilities", [-1, probabilities])
    }

    /// Answers with the sums of `rows` rows.
    pub(super) fn respond(&self, mut sums: Vec<f32>, rows: usize) -> Response {
        let by_sum = self.largest(&sums);
        self.objective.transform(&mut sums, self.width);
        match self.objective.answer {
            Answer::Values if self.width == 1 => one(Tensor::new("prediction", [rows], sums)),
            Answer::Values => one(Tensor::new("prediction", [rows, self.width], sums)),
            Answer::Binary if self.width == 1 => {
                let labels = sums.iter().map(|probability| usize::from(*probability > 0.5));
                let label = label(self.classes.as_ref(), labels.collect());
                let both = sums.iter().flat_map(|second| [1.0 - second, *second]);
                one(label).output(Tensor::new("probabilities", [rows, 2], both))
            }
            Answer::Binary => {
                let labels = sums.iter().map(|probability| i64::from(*probability > 0.5));
                let label = Tensor::new("label", [rows, self.width], labels);
                one(label).output(Tensor::new("probabilities", [rows, self.width], sums))
            }
            Answer::ClassesBySum => self.with_label(by_sum, sums, rows),
            Answer::Classes => self.with_label(self.most_probable(&sums), sums, rows),
        }
    }

    fn with_label(&self, labels: Vec<usize>, probabilities: Vec<f32>, rows: usize) -> Response {
        let probabilities = Tensor::new("probabilities", [rows, self.width], probabilities);
        one(label(self.classes.as_ref(), labels)).output(probabilities)
    }

    /// Returns the index of each row's largest sum: the first of equal ones, or the first if it is
    /// NaN.
    fn largest(&self, sums: &[f32]) -> Vec<usize> {
        if self.objective.answer != Answer::ClassesBySum {
            return Vec::new();
        }
        self.best(sums, |sum, best| sum > best)
    }

    /// Returns the index of each row's largest probability: the first of equal ones, or of NaN, as
    /// numpy does.
    fn most_probable(&self, probabilities: &[f32]) -> Vec<usize> {
        let is_better = |probability: f32, best: f32| {
            probability > best || (probability.is_nan() && !best.is_nan())
        };
        self.best(probabilities, is_better)
    }

    fn best(&self, numbers: &[f32], is_better: impl Fn(f32, f32) -> bool) -> Vec<usize> {
        let best = |row: &[f32]| {
            let numbers = row.iter().copied().enumerate();
            let best =
                numbers.reduce(|best, next| if is_better(next.1, best.1) { next } else { best });
            best.map_or(0, |(index, _)| index)
        };
        numbers.chunks_exact(self.width.max(1)).map(best).collect()
    }
}

fn one(output: Tensor) -> Response {
    Response::new().output(output)
}

/// Declares the labels of classes, or of several answers at once.
fn declare_labels(metadata: Metadata, classes: Option<&Classes>, shape: Vec<i64>) -> Metadata {
    let names: Value = match classes {
        None => return metadata.output::<i64>("label", shape),
        Some(Classes::Numbers(numbers)) => numbers.as_slice().into(),
        Some(Classes::Texts(texts)) => texts.as_slice().into(),
    };
    let metadata = match classes {
        Some(Classes::Texts(_)) => metadata.output::<String>("label", shape),
        _ => metadata.output::<i64>("label", shape),
    };
    metadata.property("classes", names.to_string())
}

/// Makes the output of the labels of classes.
fn label(classes: Option<&Classes>, indices: Vec<usize>) -> Tensor {
    let shape = [indices.len()];
    match classes {
        None => Tensor::new("label", shape, indices.into_iter().map(|index| index as i64)),
        Some(Classes::Numbers(numbers)) => {
            let label = |index: usize| numbers.get(index).copied().unwrap_or_default();
            Tensor::new("label", shape, indices.into_iter().map(label))
        }
        Some(Classes::Texts(texts)) => {
            let label = |index: usize| texts.get(index).map(String::as_str).unwrap_or_default();
            Tensor::from_strings("label", shape, indices.into_iter().map(label))
        }
    }
}
