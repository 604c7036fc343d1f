//! Boosters: what makes a sum of a row.

use wardian_sdk::{Error, OrError};

use super::categories::Categories;
use super::document::{Fields, shown};
use super::gblinear::Linear;
use super::gbtree::Forest;
use super::objective::Objective;
use super::version::Version;
use crate::trees::Ensemble;

/// The most sums of one request: a quarter of a gigabyte, which a file of few classes never has.
const MAX_SUMS: usize = 1 << 26;

/// The parts of the learner that a booster depends on.
pub(super) struct Context {
    /// The number of columns.
    pub(super) features: usize,
    /// The number of outputs.
    pub(super) outputs: usize,
    /// The size of the file, in bytes.
    pub(super) file_size: usize,
    /// The library that saved the file.
    pub(super) version: Version,
    /// True if an estimator of the scikit-learn interface has saved the file.
    pub(super) is_estimator: bool,
    /// The number of the best round, from 0, if training stopped early.
    pub(super) best_iteration: Option<String>,
    /// The objective.
    pub(super) objective: Objective,
    /// `base_score`, for each output.
    pub(super) scores: Vec<f32>,
    /// True if the library estimates `base_score` when training begins.
    pub(super) is_estimated: bool,
}

/// A booster, with what its sums start with.
pub(super) struct Booster {
    kind: Kind,
    /// The number of outputs.
    outputs: usize,
    base: Vec<f32>,
    /// The categories of each column, if the file names them.
    pub(super) categories: Vec<Categories>,
    /// A few words for people.
    pub(super) summary: String,
}

enum Kind {
    Trees(Ensemble<f32>),
    Linear(Linear),
}

// === impl Booster ===

impl Booster {
    /// Reads the fields of `gradient_booster`.
    ///
    /// # Errors
    /// Failed if they are not valid, or of a booster that is not known.
    pub(super) fn read(mut booster: Fields, context: &Context) -> Result<Self, Error> {
        let name = booster.text("name")?;
        let outputs = context.outputs;
        match name.as_str() {
            "gbtree" | "dart" => {
                let forest = Forest::read(booster, &name, context)?;
                let (trees, rounds) = (forest.ensemble.trees(), forest.rounds);
                let summary = format!("{trees} trees of {rounds} rounds");
                let (kind, base) = (Kind::Trees(forest.ensemble), forest.base);
                Ok(Self { kind, outputs, base, categories: forest.categories, summary })
            }
            "gblinear" => {
                let linear = Linear::read(booster, context.features, outputs)?;
                let base = context.base(linear.is_fitted())?;
                let summary = "linear".to_owned();
                let kind = Kind::Linear(linear);
                Ok(Self { kind, outputs, base, categories: Vec::new(), summary })
            }
            _ => Err(Error::failed(format_args!(
                "the booster {} is not served; gbtree, dart and gblinear are",
                shown(&name)
            ))),
        }
    }

    /// Returns the sums, `[n, outputs]`, of `n` `rows` of columns.
    ///
    /// # Errors
    /// Rejected if they are more than [`MAX_SUMS`].
    pub(super) fn sums(&self, rows: &[f32], n: usize) -> Result<Vec<f32>, Error> {
        let count = n.checked_mul(self.outputs).filter(|count| *count <= MAX_SUMS);
        let count = count.or_rejected(format_args!(
            "{n} rows have more than {MAX_SUMS} answers together; ask in smaller parts"
        ))?;
        let mut sums = Vec::with_capacity(count);
        (0..n).for_each(|_| sums.extend_from_slice(&self.base));
        match &self.kind {
            Kind::Trees(ensemble) => ensemble.add_to(rows, &mut sums),
            // The library uses the first base for all outputs.
            Kind::Linear(linear) => {
                linear.sums(rows, self.base.first().copied().unwrap_or_default(), &mut sums);
            }
        }
        Ok(sums)
    }
}

// === impl Context ===

impl Context {
    /// Returns what the sums start with. The library leaves a `base_score` as it is while it waits
    /// for training to estimate it.
    ///
    /// # Errors
    /// Failed if the objective cannot have this `base_score`.
    pub(super) fn base(&self, is_fitted: bool) -> Result<Vec<f32>, Error> {
        match is_fitted || !self.is_estimated {
            true => self.objective.margins(&self.scores),
            false => Ok(self.scores.clone()),
        }
    }

    /// Returns the rounds that are asked, of `rounds`: an estimator asks up to its best round, a
    /// `Booster` asks all of them.
    ///
    /// # Errors
    /// Failed if the best round is none of them.
    pub(super) fn asked_rounds(&self, rounds: usize) -> Result<usize, Error> {
        let Some(best) = self.best_iteration.as_ref().filter(|_| self.is_estimator) else {
            return Ok(rounds);
        };
        let asked = best.trim().parse::<usize>().ok().and_then(|best| best.checked_add(1));
        asked
            .filter(|asked| *asked <= rounds)
            .or_failed(format_args!("best_iteration {} is not one of {rounds} rounds", shown(best)))
    }
}
