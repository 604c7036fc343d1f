//! The last step from the sums to the predictions.

use serde::Deserialize;

use crate::links::{highest, logistic, softmax};

/// The function that turns a row's sums into its predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LastStep {
    /// Nothing.
    None,
    /// e to their power.
    Exponential,
    /// The logistic function: with classes, the probability of the second of two.
    Logistic,
    /// The probability of each class.
    Softmax,
}

// === impl LastStep ===

impl LastStep {
    /// Returns the number of classes that a classifier with so many sums has; `None` if it cannot
    /// be one.
    pub(super) fn classes(self, outputs: usize) -> Option<usize> {
        match self {
            Self::Logistic if outputs == 1 => Some(2),
            Self::Softmax => Some(outputs),
            _ => None,
        }
    }

    /// Returns the index of a row's class. The sums decide: probabilities are rounded, and two
    /// different sums may have the same.
    pub(super) fn label(self, sums: &[f64]) -> usize {
        match sums {
            [sum] if self == Self::Logistic => usize::from(*sum > 0.0),
            _ => highest(sums),
        }
    }

    /// Turns the sums of one row into its predictions.
    pub(super) fn apply(self, row: &mut [f64]) {
        match self {
            Self::None => {}
            Self::Exponential => row.iter_mut().for_each(|value| *value = value.exp()),
            Self::Logistic => row.iter_mut().for_each(|value| *value = logistic(*value)),
            Self::Softmax => softmax(row),
        }
    }
}
