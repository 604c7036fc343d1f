//! Objectives: what the sums of the trees start with, and what becomes of them.

use std::fmt;

use wardian_sdk::{Error, OrError};

use super::document::shown;
use super::version::Version;

/// The smallest distance from the end of a range, and between expectiles.
const EPSILON: f32 = 1e-6;

/// An objective that is built into the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Objective {
    name: &'static str,
    link: Link,
    transform: Transform,
    /// The meaning of the predictions.
    pub(super) answer: Answer,
}

/// The function that makes a sum of `base_score`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Identity,
    Logit,
    Log,
    /// The logarithm of a number above zero.
    LogOfPositive,
    /// The first is kept, the others become the sums whose gaps they are.
    Gaps,
}

/// The function that makes predictions of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transform {
    Identity,
    Sigmoid,
    Exponential,
    /// 1 above zero, otherwise 0.
    Step,
    /// In ascending order.
    Sorted,
    /// Each is the one before it and a gap.
    Gaps,
    Softmax,
}

/// The meaning of predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Numbers.
    Values,
    /// The probabilities of the second of two classes; of several outputs, each its own.
    Binary,
    /// A probability for each class. The label is the largest.
    Classes,
    /// A probability for each class. The label is that of the largest sum.
    ClassesBySum,
}

impl Objective {
    /// Finds an objective by its name in a file.
    ///
    /// # Errors
    /// Failed if there is none of this name.
    pub(super) fn find(name: &str, version: Version) -> Result<Self, Error> {
        use Link::{Gaps, Identity, Log, LogOfPositive, Logit};
        let values = |name, link, transform| Self { name, link, transform, answer: Answer::Values };
        let plain = |name| values(name, Identity, Transform::Identity);
        // Since 3.4 the quantiles of a row do not cross.
        let quantiles = if version.is_from(3, 4) { Transform::Sorted } else { Transform::Identity };
        let objective = match name {
            "reg:squarederror" => plain("reg:squarederror"),
            "reg:linear" => plain("reg:linear"),
            "reg:squaredlogerror" => plain("reg:squaredlogerror"),
            "reg:pseudohubererror" => plain("reg:pseudohubererror"),
            "reg:absoluteerror" => plain("reg:absoluteerror"),
            "rank:pairwise" => plain("rank:pairwise"),
            "rank:ndcg" => plain("rank:ndcg"),
            "rank:map" => plain("rank:map"),
            // The sum itself, which is not a probability.
            "binary:logitraw" => plain("binary:logitraw"),
            "reg:quantileerror" => values("reg:quantileerror", Identity, quantiles),
            "reg:expectileerror" => values("reg:expectileerror", Gaps, Transform::Gaps),
            "reg:logistic" => values("reg:logistic", Logit, Transform::Sigmoid),
            "count:poisson" => values("count:poisson", Log, Transform::Exponential),
            "survival:cox" => values("survival:cox", Log, Transform::Exponential),
            "survival:aft" => values("survival:aft", Log, Transform::Exponential),
            "reg:tweedie" => values("reg:tweedie", Log, Transform::Exponential),
            "reg:gamma" => values("reg:gamma", LogOfPositive, Transform::Exponential),
            "binary:logistic" => Self {
                answer: Answer::Binary,
                ..values("binary:logistic", Logit, Transform::Sigmoid)
            },
            "binary:hinge" => {
                Self { answer: Answer::Binary, ..values("binary:hinge", Identity, Transform::Step) }
            }
            "multi:softprob" => Self {
                answer: Answer::Classes,
                ..values("multi:softprob", Identity, Transform::Softmax)
            },
            "multi:softmax" => Self {
                answer: Answer::ClassesBySum,
                ..values("multi:softmax", Identity, Transform::Softmax)
            },
            _ => {
                return Err(Error::failed(format_args!(
                    "the objective {} is not served: it is none that XGBoost has built in (reg:*, \
                     binary:*, multi:*, count:poisson, survival:*, rank:*)",
                    shown(name)
                )));
            }
        };
        Ok(objective)
    }

    /// Turns a `base_score` for each output into the sums to start with.
    ///
    /// # Errors
    /// Failed if the objective cannot have this score.
    pub(super) fn margins(self, scores: &[f32]) -> Result<Vec<f32>, Error> {
        let margins: Option<Vec<f32>> = match self.link {
            Link::Identity => Some(scores.to_vec()),
            Link::Logit => scores.iter().map(|score| logit(*score)).collect(),
            Link::Log => Some(scores.iter().map(|score| ln(*score)).collect()),
            Link::LogOfPositive => {
                scores.iter().map(|score| (*score > 0.0).then(|| ln(*score))).collect()
            }
            Link::Gaps => Some(gap_margins(scores)),
        };
        margins
            .filter(|margins| margins.iter().all(|margin| margin.is_finite()))
            .or_failed(format_args!("the objective {self} cannot have this base_score"))
    }

    /// Turns the sums of rows of `outputs` numbers into predictions.
    pub(super) fn transform(self, sums: &mut [f32], outputs: usize) {
        let rows = sums.chunks_exact_mut(outputs.max(1));
        match self.transform {
            Transform::Identity => {}
            Transform::Sigmoid => sums.iter_mut().for_each(|sum| *sum = sigmoid(*sum)),
            Transform::Exponential => sums.iter_mut().for_each(|sum| *sum = exp(*sum)),
            Transform::Step => {
                sums.iter_mut().for_each(|sum| *sum = if *sum > 0.0 { 1.0 } else { 0.0 });
            }
            Transform::Sorted => rows.for_each(sort),
            Transform::Gaps => rows.for_each(add_gaps),
            Transform::Softmax => rows.for_each(softmax),
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// Returns the exponential, rounded once. The library's differs in rare last bits at most.
fn exp(x: f32) -> f32 {
    f64::from(x).exp() as f32
}

/// Returns the natural logarithm, rounded once.
fn ln(x: f32) -> f32 {
    f64::from(x).ln() as f32
}

fn logit(score: f32) -> Option<f32> {
    let bounded = score.clamp(EPSILON, 1.0 - EPSILON);
    (0.0..=1.0).contains(&score).then(|| -ln(1.0 / bounded - 1.0))
}

fn sigmoid(sum: f32) -> f32 {
    // Beyond it the exponential is infinite. NaN stays.
    let negative = if -sum > 88.7 { 88.7 } else { -sum };
    1.0 / (exp(negative) + 1.0 + 1e-16)
}

fn softmax(row: &mut [f32]) {
    // NaN is passed over, but becomes the probability of its class.
    let largest = row.iter().copied().reduce(f32::max).unwrap_or_default();
    row.iter_mut().for_each(|sum| *sum = exp(*sum - largest));
    let total: f64 = row.iter().map(|power| f64::from(*power)).sum();
    row.iter_mut().for_each(|power| *power /= total as f32);
}

/// Sorts by insertion, as the library does: it says where NaN ends up.
fn sort(row: &mut [f32]) {
    for start in 1..row.len() {
        let mut at = start;
        while at > 0 && row.get(at - 1) > row.get(at) {
            row.swap(at - 1, at);
            at -= 1;
        }
    }
}

fn soft_plus(x: f32) -> f32 {
    let log = |power: f32| f64::from(power).ln_1p() as f32;
    if x > 0.0 { x + log(exp(-x)) } else { log(exp(x)) }
}

fn add_gaps(row: &mut [f32]) {
    let mut sum = None;
    for value in row {
        let next = sum.map_or(*value, |before: f32| before + (EPSILON + soft_plus(*value)));
        *value = next;
        sum = Some(next);
    }
}

fn gap_margins(scores: &[f32]) -> Vec<f32> {
    let margin = |gap: f32| {
        let gap = (gap - EPSILON).max(EPSILON);
        gap + ln(-(f64::from(-gap).exp_m1() as f32))
    };
    let gaps = scores.windows(2).filter_map(|pair| Some(pair.last()? - pair.first()?));
    scores.first().copied().into_iter().chain(gaps.map(margin)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str) -> Objective {
        Objective::find(name, Version::default()).unwrap()
    }

    #[test]
    fn probabilities_do_not_leave_their_range() {
        let mut sums = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, 200.0, -200.0];
        find("binary:logistic").transform(&mut sums, 1);
        assert!(sums[0].is_nan());
        assert_eq!(sums[1], 1.0);
        assert!(sums[2] > 0.0 && sums[2] < 1e-37);
        assert_eq!(sums[3], 0.5);
        assert_eq!(sums[4], 1.0);
        assert_eq!(sums[5], sums[2]);
    }

    #[test]
    fn softmax_of_large_scores_is_no_nan() {
        let mut sums = [-700.0, 1400.0, -700.0];
        find("multi:softprob").transform(&mut sums, 3);
        assert_eq!(sums, [0.0, 1.0, 0.0]);
    }

    #[test]
    fn scores_beyond_the_link_are_refused() {
        assert!(find("binary:logistic").margins(&[1.5]).is_err());
        assert!(find("binary:logistic").margins(&[1.0]).unwrap()[0] > 13.0);
        assert!(find("reg:gamma").margins(&[0.0]).is_err());
        assert!(find("count:poisson").margins(&[-1.0]).is_err());
        assert_eq!(find("binary:logitraw").margins(&[3.0]).unwrap(), [3.0]);
    }

    #[test]
    fn quantiles_cross_before_version_3_4() {
        let sums = [2.0, 1.0, 3.0];
        let transformed = |version| {
            let mut sums = sums;
            let version = Version::from_numbers(version).unwrap();
            Objective::find("reg:quantileerror", version).unwrap().transform(&mut sums, 3);
            sums
        };
        assert_eq!(transformed(&[3, 2, 0]), sums);
        assert_eq!(transformed(&[3, 4, 0]), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn expectiles_are_sums_of_gaps() {
        let objective = find("reg:expectileerror");
        let margins = objective.margins(&[1.0, 1.5, 3.5]).unwrap();
        let mut sums = margins.clone();
        objective.transform(&mut sums, 3);
        let near = |(sum, score): (&f32, f32)| (sum - score).abs() < 1e-5;
        assert!(sums.iter().zip([1.0, 1.5, 3.5]).all(near), "{margins:?} {sums:?}");
    }

    #[test]
    fn an_objective_of_the_callers_own_is_refused_by_name() {
        let error = Objective::find("mine", Version::default()).unwrap_err();
        assert!(error.to_string().contains("\"mine\""));
    }
}
