//! `config.json`: the architecture of a network, and its labels.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use wardian_sdk::{Error, OrError};

use super::Head;
use super::entities::Entities;
use super::labels::{Activation, Labels};

/// The name of the file.
pub(super) const FILE: &str = "config.json";

const SEQUENCES: &str = "ForSequenceClassification";
const TOKENS: &str = "ForTokenClassification";

/// The part of the file that says what a network is for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct NetworkConfig {
    architectures: Option<Vec<String>>,
    id2label: Option<BTreeMap<String, Value>>,
    problem_type: Option<String>,
    sentence_transformers: Option<CrossEncoderConfig>,
    /// The activation, as earlier versions of sentence-transformers wrote it.
    sbert_ce_default_activation_function: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CrossEncoderConfig {
    activation_fn: Option<String>,
}

impl NetworkConfig {
    fn architecture(&self) -> &str {
        let first = self.architectures.as_ref().and_then(|architectures| architectures.first());
        first.map_or("", String::as_str)
    }

    /// Returns true for a network without a head, whose output are embeddings.
    pub(super) fn is_encoder(&self) -> bool {
        let architecture = self.architecture();
        architecture.ends_with("Model") || architecture.is_empty()
    }

    /// Returns what a network with scores is for.
    ///
    /// # Errors
    /// Failed if its architecture is not served.
    pub(super) fn classifier(&self, by_token: bool) -> Result<Head, Error> {
        let architecture = self.architecture();
        let is = |suffix| architecture.ends_with(suffix) || architecture.is_empty();
        if by_token && is(TOKENS) {
            return Ok(Head::Entities(Entities::new(self.labels()?)));
        }
        if !by_token && is(SEQUENCES) {
            return Ok(Head::Labels(Labels::new(self.labels()?, self.activation()?)));
        }
        Err(Error::failed(format_args!(
            "{FILE}: the architecture {architecture:?} is not served; those that are end in \
             {SEQUENCES} or {TOKENS}, or have the output last_hidden_state. Remove tokenizer.json \
             to serve the network for numbers of tokens"
        )))
    }

    /// Returns the labels in the order of their numbers; none if the file has none.
    fn labels(&self) -> Result<Vec<String>, Error> {
        let known = self.id2label.iter().flatten();
        let mut numbered = Vec::new();
        for (number, label) in known {
            let number: usize = number
                .parse()
                .or_failed(format_args!("{FILE}: the number {number:?} of a label"))?;
            let label = label.as_str().map_or_else(|| label.to_string(), str::to_owned);
            numbered.push((number, label));
        }
        numbered.sort();
        if numbered.iter().enumerate().any(|(index, (number, _))| index != *number) {
            return Err(Error::failed(format_args!(
                "{FILE}: the numbers of id2label are not 0, 1, 2 and so on"
            )));
        }
        Ok(numbered.into_iter().map(|(_, label)| label).collect())
    }

    /// Returns how scores become those of the answer; `None` if their number decides.
    fn activation(&self) -> Result<Option<Activation>, Error> {
        let named = self.sentence_transformers.as_ref();
        let named = named.and_then(|config| config.activation_fn.as_ref());
        let named = named.or(self.sbert_ce_default_activation_function.as_ref());
        if let Some(name) = named {
            let (_, last) = name.rsplit_once('.').unwrap_or(("", name));
            return match last {
                "Identity" => Ok(Some(Activation::None)),
                "Sigmoid" => Ok(Some(Activation::Sigmoid)),
                "Softmax" => Ok(Some(Activation::Softmax)),
                _ => Err(Error::failed(format_args!(
                    "{FILE}: the activation {name:?} is not served; those that are: Identity, \
                     Sigmoid, Softmax"
                ))),
            };
        }

        match self.problem_type.as_deref() {
            None => Ok(None),
            Some("regression") => Ok(Some(Activation::None)),
            Some("multi_label_classification") => Ok(Some(Activation::Sigmoid)),
            // Of one label, the softmax would always be 1.
            Some("single_label_classification") => Ok(None),
            Some(other) => Err(Error::failed(format_args!(
                "{FILE}: the problem_type {other:?} is not served; those that are: regression, \
                 single_label_classification, multi_label_classification"
            ))),
        }
    }
}
