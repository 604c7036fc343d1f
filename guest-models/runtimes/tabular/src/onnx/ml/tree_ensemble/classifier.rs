//! TreeEnsembleClassifier.

use wardian_sdk::Error;

use super::attributes::{self, Weights, numbers};
use super::{Precision, Sums, sums};
use crate::onnx::ml::labels::{Labels, highest};
use crate::onnx::ml::post_transform::{PostTransform, logistic};
use crate::trees::{Ensemble, Extreme};
use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{ElementType, Shape, Tensor, allocate, filled};

pub(in crate::onnx::ml) const CLASSIFIER: Operator = Operator {
    domain: Domain::Ml,
    name: "TreeEnsembleClassifier",
    versions: (1, Domain::NEWEST_ML),
    accepts: ElementType::COMMON_NUMBERS,
    build: |node| match node.input_type(0)? {
        ElementType::F64 => build::<f64>(node),
        _ => build::<f32>(node),
    },
};

/// The classes that leaves have weights for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weighted {
    /// The first of two: its scores are those of the second class.
    FirstOfTwo,
    /// The second of two.
    SecondOfTwo,
    /// Each has weights, or there are more than two.
    Each,
}

struct Classifier<T> {
    ensemble: Ensemble<T>,
    labels: Labels,
    weighted: Weighted,
    /// A number for each class, for the only score, or none.
    base: Vec<T>,
    /// The score above which the second of two classes is answered.
    border: T,
    transform: PostTransform,
}

fn build<T: Precision>(node: &Node<'_>) -> Result<Kernel, Error> {
    let labels = Labels::read(node, "classlabels_int64s", "classlabels_strings")?;
    let transform = PostTransform::read(node)?;
    let weights = Weights::<T>::read(node, "class")?;
    let base = numbers::<T>(node, "base_values")?;
    let weighted = weighted(&weights, labels.len());
    check_base(weighted, labels.len(), base.len())?;
    if weighted != Weighted::Each && transform == PostTransform::Probit {
        return Err(Error::failed("PROBIT of one score for two classes is not served"));
    }

    // Scores that cannot be negative are the probability of the second class.
    let are_probabilities =
        transform != PostTransform::Logistic && weights.iter().all(|(_, w)| *w >= T::default());
    let border = if are_probabilities { T::from(0.5) } else { T::default() };
    let ensemble = attributes::read(node, weights, labels.len())?.build_for_sums();

    let types = [labels.element_type(), ElementType::F32];
    let classifier = Classifier { ensemble, labels, weighted, base, border, transform };
    Ok(Kernel::many(types, move |arguments| {
        classifier.classify(sums(&classifier.ensemble, arguments)?)
    }))
}

fn weighted<T: Precision>(weights: &Weights<T>, classes: usize) -> Weighted {
    let is_only = |class| weights.iter().all(|(output, _)| *output == class);
    match classes {
        2 if is_only(0) => Weighted::FirstOfTwo,
        2 if is_only(1) => Weighted::SecondOfTwo,
        _ => Weighted::Each,
    }
}

fn check_base(weighted: Weighted, classes: usize, base: usize) -> Result<(), Error> {
    let is_clear = match weighted {
        _ if base == 0 => true,
        Weighted::FirstOfTwo => base == 1,
        Weighted::SecondOfTwo => false,
        Weighted::Each => base == classes,
    };
    if !is_clear {
        let text = format!("{base} base_values for leaves of these classes are not served");
        return Err(Error::failed(text));
    }
    Ok(())
}

impl<T: Precision> Classifier<T> {
    fn classify(&self, sums: Sums<'_, T>) -> Result<Vec<Tensor>, Error> {
        let classes = self.labels.len();
        let shape = Shape::new(&[sums.count, classes])?;
        let mut chosen = allocate(sums.count)?;
        let mut scores = filled(shape.elements(), 0.0)?;
        let are_scored = self.are_scored(&sums)?;
        for (row, (sums, scores)) in
            sums.sums.chunks(classes).zip(scores.chunks_mut(classes)).enumerate()
        {
            let is_scored = are_scored.get(row * classes..).unwrap_or_default();
            chosen.push(self.row(sums, is_scored, scores));
        }
        Ok(vec![self.labels.of(&chosen)?, Tensor::new(shape, scores)?])
    }

    /// Sets the scores of a row and returns its class.
    fn row(&self, sums: &[T], is_scored: &[bool], scores: &mut [f32]) -> usize {
        match (self.weighted, sums, &mut *scores) {
            (Weighted::FirstOfTwo, [sum, _], [first, second]) => {
                let mut score = T::default();
                score += *sum;
                self.base.iter().for_each(|base| score += *base);
                [*first, *second] = self.two_scores(score.narrow());
                return usize::from(score > self.border);
            }
            (Weighted::SecondOfTwo, [_, sum], [_, second]) => {
                *second = sum.narrow();
                self.transform.apply(scores);
                return usize::from(*sum > self.border);
            }
            _ => {}
        }
        let with_base = |class: usize, sum: &T| {
            let mut score = *sum;
            self.base.get(class).iter().for_each(|base| score += **base);
            score
        };
        let scored = || sums.iter().enumerate().map(|(class, sum)| with_base(class, sum));
        scores.iter_mut().zip(scored()).for_each(|(place, score)| *place = score.narrow());
        self.transform.apply(scores);
        let lowest = T::NEG_INFINITY;
        let is_scored = |class: usize| is_scored.get(class).copied().unwrap_or(true);
        highest(
            scored()
                .enumerate()
                .map(|(class, score)| if is_scored(class) { score } else { lowest }),
        )
    }

    /// Returns the scores of both classes, given that of the second.
    fn two_scores(&self, score: f32) -> [f32; 2] {
        match self.transform {
            PostTransform::Logistic => [logistic(-score), logistic(score)],
            _ if self.border > T::default() => [1.0 - score, score],
            _ => [-score, score],
        }
    }

    /// Returns whether a leaf had a weight for each row and class; classes without are not
    /// answered. Empty where all have.
    fn are_scored(&self, sums: &Sums<'_, T>) -> Result<Vec<bool>, Error> {
        let are_all = self.ensemble.is_complete() || !self.base.is_empty();
        if self.weighted != Weighted::Each || are_all {
            return Ok(Vec::new());
        }
        // A class whose sum is not zero has been added to.
        if sums.sums.iter().all(|sum| *sum != T::default()) {
            return Ok(Vec::new());
        }
        let mut lowest = filled(sums.sums.len(), T::NAN)?;
        self.ensemble.extremes(Extreme::Lowest, &sums.rows, &mut lowest);
        Ok(lowest.iter().map(|lowest| !lowest.is_nan()).collect())
    }
}
