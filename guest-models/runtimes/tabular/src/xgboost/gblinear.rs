//! The booster `gblinear`: coefficients.

use wardian_sdk::Error;

use super::document::Fields;

/// A linear model.
#[derive(Debug)]
pub(super) struct Linear {
    features: usize,
    outputs: usize,
    /// A row of a weight for each output, for every feature and then for the bias.
    weights: Vec<f32>,
    /// The number of rounds, if the file says it.
    rounds: Option<i64>,
}

impl Linear {
    /// Reads the fields of the booster.
    ///
    /// # Errors
    /// Failed if they are not valid.
    pub(super) fn read(
        mut booster: Fields,
        features: usize,
        outputs: usize,
    ) -> Result<Self, Error> {
        let mut model = booster.fields("model")?;
        let weights = model.numbers("weights")?;
        let rounds = model.find("boosted_rounds").and_then(|rounds| rounds.into_integer());
        model.finish()?;
        booster.finish()?;
        let expected = features.checked_add(1).and_then(|rows| rows.checked_mul(outputs));
        if Some(weights.len()) != expected {
            return Err(Error::failed(format_args!(
                "weights of gblinear are {}, not one for each of {features} features and the bias, \
                 for each of {outputs} outputs",
                weights.len()
            )));
        }
        Ok(Self { features, outputs, weights, rounds })
    }

    /// Returns true if it was trained for a round. Old files do not say.
    pub(super) fn is_fitted(&self) -> bool {
        self.rounds != Some(0)
    }

    /// Sets `sums`, `[n, outputs]`, for `rows` of `[n, features]`. `base` is the same for all
    /// outputs. Missing values count as zero.
    pub(super) fn sums(&self, rows: &[f32], base: f32, sums: &mut [f32]) {
        let rows = rows.chunks_exact(self.features.max(1));
        let bias = self.weights.chunks_exact(self.outputs.max(1)).last().unwrap_or_default();
        for (row, sums) in rows.zip(sums.chunks_exact_mut(self.outputs.max(1))) {
            for (sum, bias) in sums.iter_mut().zip(bias) {
                *sum = bias + base;
            }
            for (value, weights) in row.iter().zip(self.weights.chunks_exact(self.outputs.max(1))) {
                if !value.is_nan() {
                    add(*value, weights, sums);
                }
            }
        }
    }
}

fn add(value: f32, weights: &[f32], sums: &mut [f32]) {
    for (sum, weight) in sums.iter_mut().zip(weights) {
        *sum += value * weight;
    }
}
