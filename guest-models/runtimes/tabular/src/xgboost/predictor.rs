//! A model of XGBoost, ready to answer.

use wardian_sdk::{Error, Metadata, Request, Response};

use super::booster::Booster;
use super::inputs::Inputs;
use super::learner::Learner;
use super::outputs::Outputs;
use crate::{Format, Predictor, SavedMetadata};

/// The most rows of one call. A row is answered within microseconds, so more would gain nothing.
const MAX_ROWS: u32 = 4096;

/// A model of XGBoost.
pub(super) struct XgboostPredictor {
    booster: Booster,
    inputs: Inputs,
    outputs: Outputs,
    metadata: Metadata,
}

impl XgboostPredictor {
    /// Makes a predictor of a learner.
    ///
    /// # Errors
    /// Failed if the columns cannot be inputs, or `metadata.json` does not fit.
    pub(super) fn new(
        mut learner: Learner,
        format: Format,
        saved: &SavedMetadata,
    ) -> Result<Self, Error> {
        let categories = std::mem::take(&mut learner.booster.categories);
        let inputs = Inputs::new(learner.features, &learner.names, categories, saved)?;
        let outputs = Outputs::new(learner.objective, learner.outputs, saved)?;
        let metadata = describe(&learner, format);
        let metadata = outputs.declare(inputs.declare(metadata, &learner.names));
        let metadata = saved.add_to(metadata.max_batch_size(MAX_ROWS));
        Ok(Self { booster: learner.booster, inputs, outputs, metadata })
    }
}

impl Predictor for XgboostPredictor {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn predict(&self, request: &Request) -> Result<Response, Error> {
        let rows = self.inputs.read(request)?;
        let sums = self.booster.sums(&rows.values, rows.count)?;
        Ok(self.outputs.respond(sums, rows.count))
    }
}

fn describe(learner: &Learner, format: Format) -> Metadata {
    let Learner { version, objective, booster, .. } = learner;
    let format = match format {
        Format::XgboostUbjson => "xgboost-ubjson",
        _ => "xgboost-json",
    };
    let description = format!("A model of {version}: {objective}, {}", booster.summary);
    Metadata::new()
        .description(&description)
        .property("format", format)
        .property("library", version.to_string())
        .property("objective", objective.to_string())
}
