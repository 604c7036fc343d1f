//! The learned weights: a logistic regression, and its encoding as bytes.

/// Measurements of one tumour.
pub(crate) const FEATURES: usize = 30;

/// The step of stochastic gradient descent.
const RATE: f64 = 0.05;

/// The learned weights, and the number of tumours.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weights {
    pub(crate) learned: i64,
    intercept: f64,
    coefficients: Vec<f64>,
}

impl Weights {
    /// Returns weights before the first step.
    pub(crate) fn new() -> Self {
        Weights { learned: 0, intercept: 0.0, coefficients: vec![0.0; FEATURES] }
    }

    /// Decodes the bytes of `to_bytes`.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (learned, numbers) = bytes.split_first_chunk::<8>()?;
        let (numbers, rest) = numbers.as_chunks::<8>();
        let numbers: Vec<f64> = numbers.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
        let (&intercept, coefficients) = numbers.split_first()?;
        let whole = rest.is_empty() && coefficients.len() == FEATURES;
        let coefficients = coefficients.to_vec();
        whole.then_some(Weights { learned: i64::from_le_bytes(*learned), intercept, coefficients })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let numbers = std::iter::once(&self.intercept).chain(&self.coefficients);
        self.learned
            .to_le_bytes()
            .into_iter()
            .chain(numbers.flat_map(|number| number.to_le_bytes()))
            .collect()
    }

    /// Returns the probability that a tumour with these measurements is malignant.
    pub(crate) fn probability(&self, row: &[f64]) -> f64 {
        1.0 / (1.0 + (-self.score(row)).exp())
    }

    /// Makes one step down the gradient of the logistic loss.
    pub(crate) fn learn(&mut self, row: &[f64], malignant: bool) {
        let step = RATE * (f64::from(u8::from(malignant)) - self.probability(row));
        self.coefficients
            .iter_mut()
            .zip(row)
            .for_each(|(coefficient, value)| *coefficient += step * value);
        self.intercept += step;
        self.learned += 1;
    }

    fn score(&self, row: &[f64]) -> f64 {
        self.intercept
            + self
                .coefficients
                .iter()
                .zip(row)
                .map(|(coefficient, value)| coefficient * value)
                .sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_survive_a_round_trip() {
        let mut weights = Weights::new();
        weights.learn(&[0.25; FEATURES], true);
        let bytes = weights.to_bytes();
        assert_eq!(Weights::from_bytes(&bytes), Some(weights));
        for wrong in
            [&bytes[..8], &bytes[..bytes.len() - 1], &[bytes.clone(), vec![0; 8]].concat()[..]]
        {
            assert_eq!(Weights::from_bytes(wrong), None);
        }
    }
}
