//! Distinguishes malignant tumours from benign ones, and learns from every row with an outcome.
//!
//! The weights are one value in the tenant's bucket `learner`. An instance that learns replaces the
//! value only if it is unchanged since it was read, so no concurrent update is lost.

mod weights;

use wardian_sdk::{Error, Metadata, Model, OrError, Request, Response, Tensor, key_value};

use weights::{FEATURES, Weights};

const KEY: &str = "weights";

struct Learner {
    means: Vec<f64>,
    scales: Vec<f64>,
}

impl Model for Learner {
    fn load() -> Result<Self, Error> {
        let mut lines = include_str!("../scaler.txt").lines().map(numbers);
        let mut next = || lines.next().flatten().or_failed("scaler.txt is damaged");
        Ok(Learner { means: next()?, scales: next()? })
    }

    fn metadata(&self) -> Metadata {
        Metadata::new()
            .description(
                "Whether a tumour is malignant; learns from those it is told the outcome of",
            )
            .input::<f64>("measurements", [-1, FEATURES as i64])
            .optional_input::<bool>("malignant", [-1])
            .output::<f64>("probability", [-1])
            .output::<i64>("learned", [1])
            .property("columns", "scikit-learn's load_breast_cancer().feature_names")
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let rows = self.scaled(request.input("measurements")?)?;
        let bucket = key_value::open("learner")?;
        match request.find_input("malignant") {
            Some(outcomes) => learn(&bucket, &rows, &outcomes.view::<bool>()?.to_vec()),
            None => {
                let weights = known(bucket.get(KEY)?)?;
                Ok(response(rows.iter().map(|row| weights.probability(row)), &weights))
            }
        }
    }
}

impl Learner {
    fn scaled(&self, measurements: &Tensor) -> Result<Vec<Vec<f64>>, Error> {
        let values = measurements.view::<f64>()?.to_vec();
        let scale = |row: &[f64]| -> Vec<f64> {
            let scaling = self.means.iter().zip(&self.scales);
            row.iter().zip(scaling).map(|(value, (mean, scale))| (value - mean) / scale).collect()
        };
        let finite = values.iter().all(|value| value.is_finite());
        finite
            .then(|| values.chunks_exact(FEATURES).map(scale).collect())
            .or_rejected("a measurement is no number")
    }
}

/// Learns from the rows one by one. Returns the probability of each row before the step of that
/// row.
fn learn(
    bucket: &key_value::Bucket,
    rows: &[Vec<f64>],
    outcomes: &[bool],
) -> Result<Response, Error> {
    if rows.len() != outcomes.len() {
        return Err(Error::rejected("there must be an outcome for each row of measurements"));
    }
    let mut learned = (Vec::new(), Weights::new());
    bucket.update(KEY, |old| {
        let mut weights = known(old)?;
        let step = |(row, &outcome): (&Vec<f64>, &bool)| {
            let probability = weights.probability(row);
            weights.learn(row, outcome);
            probability
        };
        let probabilities: Vec<f64> = rows.iter().zip(outcomes).map(step).collect();
        let bytes = weights.to_bytes();
        learned = (probabilities, weights);
        Ok(bytes)
    })?;
    Ok(response(learned.0.into_iter(), &learned.1))
}

fn known(value: Option<Vec<u8>>) -> Result<Weights, Error> {
    value.map_or(Ok(Weights::new()), |bytes| {
        Weights::from_bytes(&bytes).or_failed("what was learned is damaged")
    })
}

fn response(probabilities: impl ExactSizeIterator<Item = f64>, weights: &Weights) -> Response {
    let count = probabilities.len();
    Response::new().output(Tensor::new("probability", [count], probabilities)).output(Tensor::new(
        "learned",
        [1],
        [weights.learned],
    ))
}

fn numbers(line: &str) -> Option<Vec<f64>> {
    let numbers: Vec<f64> =
        line.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    (numbers.len() == FEATURES).then_some(numbers)
}

wardian_sdk::export!(Learner);

#[cfg(test)]
mod tests {
    use super::*;

    /// The host also begins each golden request with an empty store.
    #[test]
    fn learns_as_scikit_learn_does() -> Result<(), Error> {
        wardian_sdk::golden::check::<Learner>()
    }
}
