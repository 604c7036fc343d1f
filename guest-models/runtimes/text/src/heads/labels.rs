//! Labels of texts.

use wardian_sdk::{Error, Metadata, Tensor};

use super::{largest, softmax};
use crate::network::Row;

/// The step that makes scores of the numbers of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// They are the scores.
    None,
    /// Each by itself is between 0 and 1.
    Sigmoid,
    /// Together they are 1.
    Softmax,
}

/// The labels of texts.
pub(crate) struct Labels {
    labels: Vec<String>,
    activation: Option<Activation>,
}

impl Labels {
    /// Labels in the order of the network's numbers. Without an activation, their number decides.
    pub(super) fn new(labels: Vec<String>, activation: Option<Activation>) -> Self {
        Self { labels, activation }
    }

    /// Describes the labels.
    ///
    /// # Errors
    /// Failed if there are not `width` of them.
    pub(super) fn describe(&mut self, width: usize, metadata: Metadata) -> Result<Metadata, Error> {
        self.labels = complete(std::mem::take(&mut self.labels), width)?;
        let classes = serde_json::json!(self.labels).to_string();
        let metadata = if width > 1 { metadata.output::<String>("label", [-1]) } else { metadata };
        Ok(metadata
            .output::<f32>("scores", [-1, width as i64])
            .property("task", "text-classification")
            .property("classes", classes))
    }

    /// Returns the outputs.
    pub(super) fn outputs(&self, rows: &[Row]) -> Vec<Tensor> {
        let scores: Vec<_> = rows.iter().map(|row| self.scores(&row.values)).collect();
        let label = |scores: &Vec<f32>| self.labels.get(largest(scores)).map_or("", String::as_str);
        let count = rows.len();
        let mut outputs = Vec::new();
        if self.labels.len() > 1 {
            outputs.push(Tensor::from_strings("label", [count], scores.iter().map(label)));
        }
        let values = scores.iter().flatten().copied();
        outputs.push(Tensor::new("scores", [count, self.labels.len()], values));
        outputs
    }

    fn scores(&self, numbers: &[f32]) -> Vec<f32> {
        let by_number = if numbers.len() == 1 { Activation::Sigmoid } else { Activation::Softmax };
        match self.activation.unwrap_or(by_number) {
            Activation::None => numbers.to_vec(),
            Activation::Sigmoid => {
                numbers.iter().map(|number| 1.0 / (1.0 + (-number).exp())).collect()
            }
            Activation::Softmax => softmax(numbers),
        }
    }
}

/// Returns as many labels as the network has; numbered ones if the file has none.
///
/// # Errors
/// Failed if there is another number of them.
pub(super) fn complete(labels: Vec<String>, width: usize) -> Result<Vec<String>, Error> {
    let count = labels.len();
    match count {
        0 => Ok((0..width).map(|number| format!("LABEL_{number}")).collect()),
        _ if count == width => Ok(labels),
        _ => Err(Error::failed(format_args!(
            "config.json has {count} labels in id2label, and the network has {width}"
        ))),
    }
}
