//! Linear models.

use std::sync::Arc;

use wardian_sdk::{Error, OrError};

use super::labels::{Labels, highest};
use super::post_transform::{PostTransform, logistic};
use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::matrix::{floats, rows_of};
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{ElementType, Shape, Tensor, allocate};

pub(super) const CLASSIFIER: Operator = Operator {
    domain: Domain::Ml,
    name: "LinearClassifier",
    versions: (1, Domain::NEWEST_ML),
    accepts: ElementType::COMMON_NUMBERS,
    build: classifier,
};

pub(super) const REGRESSOR: Operator = Operator {
    domain: Domain::Ml,
    name: "LinearRegressor",
    versions: (1, Domain::NEWEST_ML),
    accepts: ElementType::COMMON_NUMBERS,
    build: regressor,
};

/// Coefficients by output, then by feature.
struct Linear {
    features: usize,
    coefficients: Vec<f32>,
    intercepts: Vec<f32>,
}

impl Linear {
    /// Reads the coefficients of so many outputs. Without intercepts they are zero.
    fn read(node: &Node<'_>, outputs: usize) -> Result<Self, Error> {
        let coefficients = node.floats("coefficients").to_vec();
        let mut intercepts = node.floats("intercepts").to_vec();
        let features = coefficients.len().checked_div(outputs).unwrap_or_default();
        if features == 0 || features * outputs != coefficients.len() {
            let text = format!("{} coefficients for {outputs} outputs", coefficients.len());
            return Err(Error::failed(text));
        }
        if intercepts.is_empty() {
            intercepts = vec![0.0; outputs];
        }
        if intercepts.len() != outputs {
            let text = format!("{} intercepts for {outputs} outputs", intercepts.len());
            return Err(Error::failed(text));
        }
        Ok(Self { features, coefficients, intercepts })
    }

    fn outputs(&self) -> usize {
        self.intercepts.len()
    }

    /// Calls `put` with the scores of each row.
    fn each_row(
        &self,
        arguments: &mut Arguments<'_>,
        mut put: impl FnMut(&mut Vec<f32>),
    ) -> Result<usize, Error> {
        let input = arguments.get(0)?;
        let rows = rows_of(input, self.features)?;
        let work = (input.len() as u64).saturating_mul(self.outputs() as u64);
        let numbers = floats(input)?;
        let mut scores = allocate(self.outputs().max(2))?;
        for row in numbers.chunks_exact(self.features) {
            scores.clear();
            let coefficients = self.coefficients.chunks_exact(self.features);
            for (coefficients, intercept) in coefficients.zip(&self.intercepts) {
                scores.push((dot(row, coefficients) + f64::from(*intercept)) as f32);
            }
            put(&mut scores);
        }
        drop(numbers);
        arguments.charge(work)?;
        Ok(rows)
    }
}

/// Returns the sum of the products, in several partial sums of doubles, as the libraries add them.
pub(super) fn dot(left: &[f32], right: &[f32]) -> f64 {
    const LANES: usize = 4;
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (left, right) in left.iter().zip(right) {
        for (sum, (a, b)) in sums.iter_mut().zip(left.iter().zip(right)) {
            *sum += f64::from(*a) * f64::from(*b);
        }
    }
    let rest = left_rest.iter().zip(right_rest).map(|(a, b)| f64::from(*a) * f64::from(*b));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}

fn regressor(node: &Node<'_>) -> Result<Kernel, Error> {
    let targets = usize::try_from(node.integer("targets", 1)).or_failed("the targets")?;
    let linear = Linear::read(node, targets)?;
    let transform = PostTransform::read(node)?;
    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let mut predictions = Vec::new();
        let rows = linear.each_row(arguments, |scores| {
            transform.apply(scores);
            predictions.extend_from_slice(scores);
        })?;
        Tensor::new(Shape::new(&[rows, targets])?, predictions)
    }))
}

fn classifier(node: &Node<'_>) -> Result<Kernel, Error> {
    let labels = Labels::read(node, "classlabels_ints", "classlabels_strings")?;
    let transform = PostTransform::read(node)?;
    // Scores of one class against the rest are computed in the same way as others.
    node.integer("multi_class", 0);
    let outputs = match node.floats("intercepts").len() {
        1 if labels.len() == 2 => 1,
        _ => labels.len(),
    };
    let linear = Arc::new(Linear::read(node, outputs)?);
    if outputs == 1 && transform == PostTransform::Probit {
        return Err(Error::failed("PROBIT of one score for two classes is not served"));
    }

    let types = [labels.element_type(), ElementType::F32];
    Ok(Kernel::many(types, move |arguments| {
        let (mut classes, mut probabilities) = (Vec::new(), Vec::new());
        let rows = linear.each_row(arguments, |scores| {
            classes.push(if outputs == 1 {
                usize::from(scores.first().is_some_and(|score| *score > 0.0))
            } else {
                highest(scores.iter().copied())
            });
            match **scores {
                [score] => *scores = two_scores(transform, score).to_vec(),
                _ => transform.apply(scores),
            }
            probabilities.extend_from_slice(scores);
        })?;
        let shape = Shape::new(&[rows, labels.len()])?;
        Ok(vec![labels.of(&classes)?, Tensor::new(shape, probabilities)?])
    }))
}

/// Returns the scores of both classes, given that of the second.
fn two_scores(transform: PostTransform, score: f32) -> [f32; 2] {
    match transform {
        PostTransform::Logistic => [logistic(-score), logistic(score)],
        _ => [1.0 - score, score],
    }
}

#[cfg(test)]
mod tests {
    use crate::onnx::testing::{ml_case, strings, tensor};

    #[test]
    fn exactly_one_half_is_the_first_class() {
        let case = ml_case("LinearClassifier", 1)
            .floats("coefficients", &[1.0])
            .floats("intercepts", &[0.0])
            .ints("classlabels_ints", &[4, 9])
            .text("post_transform", "LOGISTIC")
            .outputs(2);
        let outputs = case.run(&[tensor(&[4, 1], &[0.0_f32, -0.0, -1e-30, 1e-30])]).unwrap();
        assert_eq!(outputs[0], tensor(&[4], &[4_i64, 4, 4, 9]));
        assert_eq!(outputs[1].values::<f32>().unwrap()[..2], [0.5, 0.5]);
    }

    #[test]
    fn one_score_stands_for_two_classes() {
        let case = ml_case("LinearClassifier", 1)
            .floats("coefficients", &[1.0])
            .floats("intercepts", &[0.0])
            .texts("classlabels_strings", &["no", "yes"])
            .outputs(2);
        let outputs = case.run(&[tensor(&[2, 1], &[0.25_f32, -1.0])]).unwrap();
        assert_eq!(outputs[0], strings(&[2], &["yes", "no"]));
        assert_eq!(outputs[1], tensor(&[2, 2], &[0.75_f32, 0.25, 2.0, -1.0]));
    }

    #[test]
    fn several_classes_take_the_first_highest() {
        let case = ml_case("LinearClassifier", 1)
            .floats("coefficients", &[1.0, 0.0, 0.0, 1.0, 1.0, 0.0])
            .floats("intercepts", &[0.0, 0.0, 0.0])
            .ints("classlabels_ints", &[-7, 12, 1 << 40])
            .text("post_transform", "SOFTMAX")
            .outputs(2);
        let outputs = case.run(&[tensor(&[2, 2], &[1_i64, 0, 0, 5])]).unwrap();
        assert_eq!(outputs[0], tensor(&[2], &[-7_i64, 12]));
        let probabilities = outputs[1].values::<f32>().unwrap();
        assert!((probabilities[0] - 0.422_318_8).abs() < 1e-6);
        assert!((probabilities[..3].iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn targets_have_coefficients_each() {
        let case = ml_case("LinearRegressor", 1)
            .floats("coefficients", &[1.0, 2.0, 3.0, 4.0])
            .floats("intercepts", &[0.5, -0.5])
            .int("targets", 2);
        let got = case.output(&[tensor(&[1, 2], &[1.0_f64, 10.0])]);
        assert_eq!(got, tensor(&[1, 2], &[21.5_f32, 42.5]));
        let text = case.error(&[tensor(&[1, 3], &[1.0_f32; 3])]);
        assert_eq!(text, "rows of 3 numbers where the model takes 2");
    }

    #[test]
    fn counts_that_lie_are_refused() {
        let input = || [tensor(&[1, 1], &[1.0_f32])];
        let case = || ml_case("LinearRegressor", 1).floats("coefficients", &[1.0, 2.0, 3.0]);
        assert!(case().int("targets", 2).error(&input()).ends_with("3 coefficients for 2 outputs"));
        assert!(case().int("targets", 0).error(&input()).ends_with("3 coefficients for 0 outputs"));
        assert!(case().int("targets", -1).error(&input()).contains("the targets"));
        let many = case().floats("intercepts", &[1.0, 2.0]);
        assert!(many.error(&input()).ends_with("2 intercepts for 1 outputs"));
    }
}
