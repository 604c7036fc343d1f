//! The functions that turn sums of leaves into predictions, in doubles.

/// Returns a number between 0 and 1.
pub(crate) fn logistic(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

/// Replaces numbers by probabilities whose sum is 1.
pub(crate) fn softmax(row: &mut [f64]) {
    let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|value| *value = (*value - highest).exp());
    let sum: f64 = row.iter().fold(0.0, |sum, value| sum + value);
    row.iter_mut().for_each(|value| *value /= sum);
}

/// Returns the index of the first number that no other exceeds. NaN exceeds all, as in numpy.
pub(crate) fn highest(row: &[f64]) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in row.iter().copied().enumerate() {
        if !best.1.is_nan() && (value.is_nan() || value > best.1) {
            best = (index, value);
        }
    }
    best.0
}
