//! The last step of a model: what becomes of its scores.

use wardian_sdk::Error;

use onnx_executor::node::Node;

/// The change of a row's scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PostTransform {
    None,
    Softmax,
    Logistic,
    /// As softmax, but a score of zero stays zero.
    SoftmaxZero,
    Probit,
}

impl PostTransform {
    /// Reads the attribute.
    ///
    /// # Errors
    /// Failed if its value is not known.
    pub(super) fn read(node: &Node<'_>) -> Result<Self, Error> {
        Ok(match node.text("post_transform", "NONE")? {
            "NONE" => Self::None,
            "SOFTMAX" => Self::Softmax,
            "LOGISTIC" => Self::Logistic,
            "SOFTMAX_ZERO" => Self::SoftmaxZero,
            "PROBIT" => Self::Probit,
            other => {
                return Err(Error::failed(format_args!("the post_transform {other:?} is unknown")));
            }
        })
    }

    /// Reads the attribute as TreeEnsemble has it, a number.
    ///
    /// # Errors
    /// Failed if its value is not known.
    pub(super) fn read_number(node: &Node<'_>) -> Result<Self, Error> {
        Ok(match node.integer("post_transform", 0) {
            0 => Self::None,
            1 => Self::Softmax,
            2 => Self::Logistic,
            3 => Self::SoftmaxZero,
            4 => Self::Probit,
            other => {
                return Err(Error::failed(format_args!("the post_transform {other} is unknown")));
            }
        })
    }

    /// Transforms the scores of one row.
    pub(super) fn apply(self, scores: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Logistic => scores.iter_mut().for_each(|score| *score = logistic(*score)),
            Self::Probit => scores.iter_mut().for_each(|score| *score = probit(*score)),
            Self::Softmax => softmax(scores, |_| false),
            Self::SoftmaxZero => softmax(scores, |score| score.abs() <= 1e-7),
        }
    }
}

/// Returns 1 / (1 + e^-x), without loss for large negative numbers.
pub(super) fn logistic(score: f32) -> f32 {
    let positive = 1.0 / (1.0 + (-score.abs()).exp());
    if score < 0.0 { 1.0 - positive } else { positive }
}

/// Divides the exponentials by their sum. What `is_zero` names does not count in the sum.
fn softmax(scores: &mut [f32], is_zero: impl Fn(f32) -> bool) {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        if is_zero(*score) {
            *score *= (-highest).exp();
        } else {
            *score = (*score - highest).exp();
            sum += *score;
        }
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// Returns the quantile of the normal distribution, by the approximation that other runtimes use.
fn probit(probability: f32) -> f32 {
    const A: f32 = 0.147;
    let x = 2.0 * probability - 1.0;
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let half = 2.0 / (std::f32::consts::PI * A) + 0.5 * log;
    let root = ((half * half - log / A).sqrt() - half).sqrt();
    std::f32::consts::SQRT_2 * if x < 0.0 { -root } else { root }
}

#[cfg(test)]
mod tests {
    use super::PostTransform;

    fn applied(transform: PostTransform, scores: &[f32]) -> Vec<f32> {
        let mut scores = scores.to_vec();
        transform.apply(&mut scores);
        scores
    }

    fn check(transform: PostTransform, scores: &[f32], expected: &[f32]) {
        let got = applied(transform, scores);
        let is_close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
        assert!(got.iter().zip(expected).all(is_close), "{got:?} {expected:?}");
    }

    #[test]
    fn scores_become_probabilities() {
        check(PostTransform::Softmax, &[0.2, 0.4, 0.4], &[0.290_460_8, 0.354_769_6, 0.354_769_6]);
        check(PostTransform::Softmax, &[1e4, 10001.0], &[0.268_941_4, 0.731_058_6]);
        check(PostTransform::Logistic, &[2.0, -2.0, 0.0], &[0.880_797, 0.119_202_9, 0.5]);
        check(PostTransform::SoftmaxZero, &[0.0, -0.2, 0.0], &[0.0, 1.0, 0.0]);
        check(PostTransform::SoftmaxZero, &[0.1, 0.0, 0.3], &[0.450_166, 0.0, 0.549_833_95]);
        check(PostTransform::Probit, &[0.7, 0.5, 0.4], &[0.524_445_9, 0.0, -0.253_353_3]);
    }
}
