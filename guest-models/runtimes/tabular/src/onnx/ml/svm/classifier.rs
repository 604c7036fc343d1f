//! SVMClassifier.

use wardian_sdk::{Error, OrError};

use super::kernel::{Vectors, weighted};
use super::pairwise::probabilities;
use crate::onnx::ml::labels::{Labels, highest};
use crate::onnx::ml::post_transform::{PostTransform, logistic};
use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::matrix::{floats, indices, rows_of};
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{ElementType, Shape, Tensor};

pub(in crate::onnx::ml) const CLASSIFIER: Operator = Operator {
    domain: Domain::Ml,
    name: "SVMClassifier",
    versions: (1, Domain::NEWEST_ML),
    accepts: ElementType::COMMON_NUMBERS,
    build: classifier,
};

/// A decision between each two classes.
struct Classifier {
    labels: Labels,
    vectors: Vectors,
    /// The place of each class's vectors among all.
    places: Vec<(usize, usize)>,
    /// [classes - 1, vectors].
    coefficients: Vec<f32>,
    /// A number for each pair of classes.
    rho: Vec<f32>,
    /// The two numbers of each pair that make a probability of its score, if it has any.
    sigmoids: Vec<(f32, f32)>,
    transform: PostTransform,
}

fn classifier(node: &Node<'_>) -> Result<Kernel, Error> {
    let classifier = Classifier::read(node)?;
    let types = [classifier.labels.element_type(), ElementType::F32];
    Ok(Kernel::many(types, move |arguments| {
        let rows = rows_of(arguments.get(0)?, classifier.vectors.features)?;
        arguments.charge(classifier.work().saturating_mul(rows as u64))?;
        let mut similarities = Vec::new();
        let (mut classes, mut scores) = (Vec::new(), Vec::new());
        for row in floats(arguments.get(0)?)?.chunks_exact(classifier.vectors.features) {
            classifier.vectors.compare(row, &mut similarities);
            classes.push(classifier.row(&similarities, &mut scores));
        }
        let shape = Shape::new(&[rows, classifier.scores()])?;
        Ok(vec![classifier.labels.of(&classes)?, Tensor::new(shape, scores)?])
    }))
}

impl Classifier {
    fn read(node: &Node<'_>) -> Result<Self, Error> {
        let labels = Labels::read(node, "classlabels_ints", "classlabels_strings")?;
        let counts = indices("vectors_per_class", node.integers("vectors_per_class"))?;
        let classes = labels.len();
        if counts.len() != classes {
            let text = format!("{} vectors_per_class for {classes} classes", counts.len());
            return Err(Error::failed(text));
        }
        let count = counts.iter().sum::<usize>();
        let vectors = Vectors::read(node, count)?;
        let pairs = classes * (classes - 1) / 2;
        let classifier = Self {
            labels,
            vectors,
            places: places(&counts),
            coefficients: list(node, "coefficients", (classes - 1).saturating_mul(count))?,
            rho: list(node, "rho", pairs)?,
            sigmoids: sigmoids(node, pairs)?,
            transform: PostTransform::read(node)?,
        };
        if classifier.transform != PostTransform::None {
            return Err(Error::failed("its post_transform is not served, only NONE is"));
        }
        Ok(classifier)
    }

    /// Returns the number of scores of a row.
    fn scores(&self) -> usize {
        match self.labels.len() {
            2 => 2,
            classes if !self.sigmoids.is_empty() => classes,
            _ => self.rho.len(),
        }
    }

    /// Returns the steps of work of a row.
    fn work(&self) -> u64 {
        self.vectors.work().saturating_add(self.coefficients.len() as u64)
    }

    /// Adds the scores of a row and returns its class.
    fn row(&self, similarities: &[f64], scores: &mut Vec<f32>) -> usize {
        let decisions = self.decisions(similarities);
        if !self.sigmoids.is_empty() {
            scores.extend(self.probabilities(&decisions));
        } else if let [decision] = *decisions {
            scores.extend([-decision, decision]);
        } else {
            scores.extend(&decisions);
        }
        // Not always the class of the highest probability, but what the library answers.
        self.winner(&decisions)
    }

    /// Returns a number for each pair of classes: above zero for the first of them.
    fn decisions(&self, similarities: &[f64]) -> Vec<f32> {
        let count = similarities.len();
        // The coefficients of class `of` against another are in row `row`.
        let part = |row: usize, of: usize| {
            let (start, end) = self.places.get(of).copied().unwrap_or_default();
            let coefficients = self.coefficients.get(row * count..).unwrap_or_default();
            let coefficients = coefficients.get(start..end).unwrap_or_default();
            weighted(coefficients, similarities.get(start..end).unwrap_or_default())
        };
        let pairs = pairs(self.labels.len());
        let decision = |((i, j), rho): ((usize, usize), &f32)| {
            (part(j - 1, i) + part(i, j) + f64::from(*rho)) as f32
        };
        pairs.zip(&self.rho).map(decision).collect()
    }

    /// Returns the class that wins most pairs.
    fn winner(&self, decisions: &[f32]) -> usize {
        let mut votes = vec![0_u32; self.labels.len()];
        for ((i, j), decision) in pairs(self.labels.len()).zip(decisions) {
            votes[if *decision > 0.0 { i } else { j }] += 1;
        }
        highest(votes)
    }

    fn probabilities(&self, decisions: &[f32]) -> Vec<f32> {
        const LEAST: f32 = 1e-7;
        let classes = self.labels.len();
        let mut matrix = vec![0.0; classes * classes];
        for (((i, j), decision), (a, b)) in pairs(classes).zip(decisions).zip(&self.sigmoids) {
            let probability = (1.0 - logistic(decision * a + b)).clamp(LEAST, 1.0 - LEAST);
            matrix[i * classes + j] = probability;
            matrix[j * classes + i] = 1.0 - probability;
        }
        probabilities(&matrix, classes)
    }
}

/// Returns all pairs of classes in their order.
fn pairs(classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..classes).flat_map(move |i| (i + 1..classes).map(move |j| (i, j)))
}

fn places(counts: &[usize]) -> Vec<(usize, usize)> {
    let mut start = 0;
    let place = |count: &usize| {
        let place = (start, start + count);
        start += count;
        place
    };
    counts.iter().map(place).collect()
}

/// Reads a list of so many numbers.
fn list(node: &Node<'_>, name: &str, length: usize) -> Result<Vec<f32>, Error> {
    let numbers = node.floats(name);
    if numbers.len() != length {
        let text = format!("{} {name} where {length} belong", numbers.len());
        return Err(Error::failed(text));
    }
    Ok(numbers.to_vec())
}

fn sigmoids(node: &Node<'_>, pairs: usize) -> Result<Vec<(f32, f32)>, Error> {
    let (a, b) = (node.floats("prob_a"), node.floats("prob_b"));
    let is_fitting = a.len() == b.len() && (a.is_empty() || a.len() == pairs);
    is_fitting.then_some(()).or_failed("prob_a and prob_b do not fit the classes")?;
    Ok(a.iter().copied().zip(b.iter().copied()).collect())
}
