//! Objectives, and the last step from the trees' sum to the answer.

use wardian_sdk::{Error, OrError};

use crate::links::{logistic, softmax};
use crate::number_lists::{double, number, shortened};

/// The aim of the training.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Objective {
    /// The line of the file; `custom` without one.
    pub(super) line: String,
    pub(super) last_step: LastStep,
}

/// The function that turns a row's sums into its answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LastStep {
    /// Nothing.
    Raw,
    /// The square, with the sign kept.
    Square,
    /// e to their power.
    Exponential,
    /// The logistic function.
    Logistic,
    /// The logarithm of 1 and e to their power.
    Softplus,
    /// The probability of the second of two classes: the logistic function of the product.
    Binary { sigmoid: f64 },
    /// The probability of each class.
    Softmax,
    /// The logistic function of the product, of each class by itself.
    OneVersusAll { sigmoid: f64 },
}

// === impl Objective ===

impl Objective {
    /// Reads the field `objective`. An objective of the caller's own writes none.
    ///
    /// # Errors
    /// Failed if the name or a parameter is unknown, or does not fit `outputs`.
    pub(super) fn parse(line: Option<&str>, outputs: usize) -> Result<Self, Error> {
        let line = line.unwrap_or("custom");
        let mut words = line.split_ascii_whitespace();
        let name = words.next().or_failed("the objective has no name")?;
        let parameters = Parameters::parse(words)?;
        let last_step = last_step(name, &parameters)?;
        check_outputs(name, last_step, &parameters, outputs)?;
        Ok(Self { line: line.to_owned(), last_step })
    }

    /// Returns the number of classes of a classifier with so many outputs; `None` if it is another
    /// model.
    pub(super) fn classes(&self, outputs: usize) -> Option<usize> {
        match self.last_step {
            LastStep::Binary { .. } => Some(2),
            LastStep::Softmax | LastStep::OneVersusAll { .. } => Some(outputs),
            _ => None,
        }
    }
}

/// The words after an objective's name.
#[derive(Default)]
struct Parameters {
    sqrt: bool,
    sigmoid: Option<f64>,
    num_class: Option<usize>,
}

impl Parameters {
    fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, Error> {
        let mut parameters = Self::default();
        for word in words {
            match word.split_once(':') {
                None if word == "sqrt" => parameters.sqrt = true,
                Some(("sigmoid", text)) => parameters.sigmoid = Some(double("sigmoid", text)?),
                Some(("num_class", text)) => {
                    parameters.num_class = Some(number("num_class", text)?);
                }
                _ => {
                    return Err(Error::failed(format_args!(
                        "the objective has a parameter that is not known: {}",
                        shortened(word)
                    )));
                }
            }
        }
        Ok(parameters)
    }

    fn sigmoid(&self) -> Result<f64, Error> {
        let sigmoid = self.sigmoid.or_failed("the objective has no sigmoid")?;
        if sigmoid.is_nan() || sigmoid <= 0.0 {
            return Err(Error::failed(format_args!("sigmoid is {sigmoid}, not above 0")));
        }
        Ok(sigmoid)
    }
}

fn last_step(name: &str, parameters: &Parameters) -> Result<LastStep, Error> {
    Ok(match name {
        "regression"
        | "regression_l2"
        | "mean_squared_error"
        | "mse"
        | "l2"
        | "l2_root"
        | "root_mean_squared_error"
        | "rmse"
        | "regression_l1"
        | "mean_absolute_error"
        | "l1"
        | "mae"
        | "quantile"
        | "fair"
        | "mape"
        | "mean_absolute_percentage_error" => {
            if parameters.sqrt {
                LastStep::Square
            } else {
                LastStep::Raw
            }
        }
        // The library ignores `sqrt` for these.
        "huber" | "lambdarank" | "rank_xendcg" | "xendcg" | "xe_ndcg" | "xe_ndcg_mart"
        | "xendcg_mart" | "custom" | "none" | "null" | "na" => LastStep::Raw,
        "poisson" | "gamma" | "tweedie" => LastStep::Exponential,
        "cross_entropy" | "xentropy" => LastStep::Logistic,
        "cross_entropy_lambda" | "xentlambda" => LastStep::Softplus,
        "binary" => LastStep::Binary { sigmoid: parameters.sigmoid()? },
        "multiclass" | "softmax" => LastStep::Softmax,
        "multiclassova" | "multiclass_ova" | "ova" | "ovr" => {
            LastStep::OneVersusAll { sigmoid: parameters.sigmoid()? }
        }
        _ => {
            return Err(Error::failed(format_args!(
                "the objective {} is not served; it is none of LightGBM 4",
                shortened(name)
            )));
        }
    })
}

fn check_outputs(
    name: &str,
    last_step: LastStep,
    parameters: &Parameters,
    outputs: usize,
) -> Result<(), Error> {
    let expected = match last_step {
        // The trees of an objective of the caller's own may be for any number of outputs.
        LastStep::Raw => return Ok(()),
        LastStep::Softmax | LastStep::OneVersusAll { .. } => {
            parameters.num_class.or_failed(format_args!("{name} has no num_class"))?
        }
        _ => 1,
    };
    if expected != outputs {
        return Err(Error::failed(format_args!(
            "the objective {name} has {expected} outputs, and the trees are for {outputs}"
        )));
    }
    Ok(())
}

// === impl LastStep ===

impl LastStep {
    /// Turns the sums of one row into its answer.
    pub(super) fn apply(self, row: &mut [f64]) {
        match self {
            Self::Raw => {}
            Self::Softmax => softmax(row),
            _ => row.iter_mut().for_each(|value| *value = self.of(*value)),
        }
    }

    fn of(self, sum: f64) -> f64 {
        match self {
            Self::Raw | Self::Softmax => sum,
            // As the library: the sign of 0 is 0, and NaN stays.
            Self::Square => f64::from(i8::from(sum > 0.0) - i8::from(sum < 0.0)) * sum * sum,
            Self::Exponential => sum.exp(),
            Self::Logistic => logistic(sum),
            Self::Softplus => sum.exp().ln_1p(),
            Self::Binary { sigmoid } | Self::OneVersusAll { sigmoid } => logistic(sigmoid * sum),
        }
    }
}
