//! The similarity of a row and the support vectors.

use wardian_sdk::{Error, OrError};

use crate::onnx::ml::linear::dot;
use onnx_executor::node::Node;

/// Support vectors, and how rows are compared with them.
pub(super) struct Vectors {
    pub(super) features: usize,
    vectors: Vec<f32>,
    similarity: Similarity,
    gamma: f64,
    offset: f64,
    degree: f64,
}

#[derive(Clone, Copy)]
enum Similarity {
    Linear,
    Polynomial,
    Radial,
    Sigmoid,
}

impl Vectors {
    /// Reads so many support vectors.
    ///
    /// # Errors
    /// Failed if there are none, or their numbers do not fill them.
    pub(super) fn read(node: &Node<'_>, count: usize) -> Result<Self, Error> {
        let vectors = node.floats("support_vectors").to_vec();
        let features = vectors.len().checked_div(count).unwrap_or_default();
        if features == 0 || features * count != vectors.len() {
            let text = format!("{} numbers for {count} support vectors", vectors.len());
            return Err(Error::failed(text));
        }
        let similarity = match node.text("kernel_type", "LINEAR")? {
            "LINEAR" => Similarity::Linear,
            "POLY" => Similarity::Polynomial,
            "RBF" => Similarity::Radial,
            "SIGMOID" => Similarity::Sigmoid,
            other => return Err(Error::failed(format_args!("the kernel {other:?} is unknown"))),
        };
        let (gamma, offset, degree) = match (node.floats("kernel_params"), similarity) {
            ([gamma, offset, degree], _) => {
                (f64::from(*gamma), f64::from(*offset), f64::from(*degree))
            }
            ([], Similarity::Linear) => (0.0, 0.0, 0.0),
            _ => return Err(Error::failed("kernel_params are not gamma, coef0, and degree")),
        };
        Ok(Self { features, vectors, similarity, gamma, offset, degree })
    }

    /// Writes the similarities of a row to all vectors.
    pub(super) fn compare(&self, row: &[f32], similarities: &mut Vec<f64>) {
        similarities.clear();
        let vectors = self.vectors.chunks_exact(self.features);
        similarities.extend(vectors.map(|vector| self.similarity(row, vector)));
    }

    fn similarity(&self, row: &[f32], vector: &[f32]) -> f64 {
        match self.similarity {
            Similarity::Linear => dot(row, vector),
            Similarity::Polynomial => {
                (self.gamma * dot(row, vector) + self.offset).powf(self.degree)
            }
            Similarity::Radial => (-self.gamma * distance(row, vector)).exp(),
            Similarity::Sigmoid => (self.gamma * dot(row, vector) + self.offset).tanh(),
        }
    }

    /// Returns the steps of work of a row.
    pub(super) fn work(&self) -> u64 {
        self.vectors.len() as u64
    }
}

/// Returns the square of the distance.
fn distance(row: &[f32], vector: &[f32]) -> f64 {
    let difference = |(a, b): (&f32, &f32)| f64::from(*a) - f64::from(*b);
    row.iter().zip(vector).map(difference).map(|difference| difference * difference).sum()
}

/// Returns the sum of the similarities, each times its coefficient.
pub(super) fn weighted(coefficients: &[f32], similarities: &[f64]) -> f64 {
    let pairs = coefficients.iter().zip(similarities);
    pairs.map(|(coefficient, similarity)| f64::from(*coefficient) * similarity).sum()
}

/// Reads the only number of `rho`.
pub(super) fn only_rho(node: &Node<'_>) -> Result<f32, Error> {
    match node.floats("rho") {
        [rho] => Some(*rho),
        _ => None,
    }
    .or_failed("rho is not one number")
}
