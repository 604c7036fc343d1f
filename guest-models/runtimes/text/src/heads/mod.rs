//! The use of a network, and the answers made of its numbers.

mod config;
mod embedding;
mod entities;
mod labels;

use wardian_sdk::{Datatype, Error, Metadata, Request, Response, Tensor, TensorSpec};

use crate::folder::Folder;
use crate::network::Row;
use crate::tokens::{Text, Tokens};
use config::NetworkConfig;
use embedding::Embedding;
pub(crate) use embedding::default_prompt;
use entities::Entities;
use labels::Labels;

/// Outputs with an embedding of each token.
const TOKEN_EMBEDDINGS: &[&str] = &["token_embeddings", "last_hidden_state"];
/// The output with an embedding of each text, of files that make it themselves.
const SENTENCE_EMBEDDING: &str = "sentence_embedding";

/// The use of a network.
pub(crate) enum Head {
    /// An embedding of each text.
    Embedding(Embedding),
    /// Labels of each text.
    Labels(Labels),
    /// Labels of the parts of each text.
    Entities(Entities),
}

/// An output, and its use.
pub(crate) struct Use {
    /// The name of the output.
    pub(crate) output: String,
    /// True if it has numbers for each token.
    pub(crate) by_token: bool,
    /// The use.
    pub(crate) head: Head,
}

/// The texts of a request, with the numbers that the network made of them.
pub(crate) struct Answered<'a> {
    pub(crate) texts: &'a [Text<'a>],
    pub(crate) tokens: &'a [Tokens],
    pub(crate) rows: &'a [Row],
}

impl Use {
    /// Finds out what a network is for: by its outputs, and then by its architecture.
    ///
    /// # Errors
    /// Failed if that is not served, or a file is not valid.
    pub(crate) fn read(folder: &Folder<'_>, outputs: &[TensorSpec]) -> Result<Self, Error> {
        let config: NetworkConfig = folder.json(config::FILE)?.unwrap_or_default();
        let find = |name: &str| outputs.iter().find(|output| output.name == name);
        let mut embeddings = TOKEN_EMBEDDINGS.iter().chain([&SENTENCE_EMBEDDING]);
        let found = embeddings.find_map(|name| find(name)).or_else(|| match outputs {
            [only] if config.is_encoder() => Some(only),
            _ => None,
        });
        if let Some(output) = found {
            let by_token = dimensions(output)? == 3;
            let head = Head::Embedding(Embedding::read(folder, by_token)?);
            return Ok(Self { output: output.name.clone(), by_token, head });
        }

        let logits = find("logits").or(match outputs {
            [only] => Some(only),
            _ => None,
        });
        let Some(logits) = logits else { return Err(unknown(outputs)) };
        let by_token = dimensions(logits)? == 3;
        let head = config.classifier(by_token)?;
        Ok(Self { output: logits.name.clone(), by_token, head })
    }
}

impl Head {
    /// Completes the use with the width of the output, and describes it.
    ///
    /// # Errors
    /// Failed if the labels do not match the width.
    pub(crate) fn describe(&mut self, width: usize, metadata: Metadata) -> Result<Metadata, Error> {
        match self {
            Head::Embedding(embedding) => Ok(embedding.describe(width, metadata)),
            Head::Labels(labels) => labels.describe(width, metadata),
            Head::Entities(entities) => entities.describe(width, metadata),
        }
    }

    /// Makes a response.
    pub(crate) fn response(&self, request: &Request, answered: &Answered<'_>) -> Response {
        let outputs = match self {
            Head::Embedding(embedding) => embedding.outputs(request, answered),
            Head::Labels(labels) => labels.outputs(answered.rows),
            Head::Entities(entities) => entities.outputs(answered),
        };
        let wanted = outputs.into_iter().filter(|output: &Tensor| request.wants(&output.name));
        wanted.fold(Response::new(), Response::output)
    }

    /// Returns true if the places of tokens are needed.
    pub(crate) fn needs_places(&self) -> bool {
        matches!(self, Head::Entities(_))
    }

    /// Returns true if two texts may be read together.
    pub(crate) fn takes_pairs(&self) -> bool {
        matches!(self, Head::Labels(_))
    }
}

/// Returns the number of dimensions of an output: three, or two.
fn dimensions(output: &TensorSpec) -> Result<usize, Error> {
    let TensorSpec { name, datatype, shape, .. } = output;
    if *datatype == Datatype::Fp32 && (2..=3).contains(&shape.len()) {
        return Ok(shape.len());
    }
    Err(Error::failed(format_args!(
        "the output '{name}' is {datatype} {shape:?}, and FP32 of two or three dimensions is \
         served; export the network with outputs of float32"
    )))
}

fn unknown(outputs: &[TensorSpec]) -> Error {
    let names: Vec<_> = outputs.iter().take(8).map(|output| output.name.as_str()).collect();
    Error::failed(format_args!(
        "the network has the outputs {}, and none of them is {}, {SENTENCE_EMBEDDING} or logits; \
         export it for feature extraction or classification, or remove tokenizer.json to serve it \
         for numbers of tokens",
        names.join(", "),
        TOKEN_EMBEDDINGS.join(", "),
    ))
}

/// Turns scores into parts of one.
fn softmax(scores: &[f32]) -> Vec<f32> {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<_> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Returns the index of the first largest number.
fn largest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if scores.get(best).is_none_or(|largest| score > largest) {
            best = index;
        }
    }
    best
}
