//! The most tokens of a text, and the other settings of `tokenizer_config.json` and its kind.

use serde::Deserialize;
use serde_json::Value;
use tokenizers::utils::truncation::TruncationDirection;
use wardian_sdk::Error;

use crate::folder::Folder;

/// Tokens of a text if no file says a limit.
const DEFAULT: usize = 512;
/// Tokens of a text whatever the files say. Time and memory grow with their square.
const MAX: usize = 8192;

/// Kinds of models whose positions begin after the number of the token that fills rows.
const POSITIONS_AFTER_PAD: &[&str] = &[
    "camembert",
    "data2vec-text",
    "ibert",
    "longformer",
    "luke",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
];

/// The preparation of texts, as the files beside the network say.
pub(crate) struct Limit {
    /// The limit of `sentence_bert_config.json`, or that of `tokenizer_config.json`.
    wanted: Option<usize>,
    /// The positions that the network has.
    positions: Option<usize>,
    /// The side at which texts are cut; `None` if no file says.
    pub(crate) direction: Option<TruncationDirection>,
    /// True if texts are turned into lower case first.
    pub(crate) lowers: bool,
    /// The token that fills rows; `None` if `config.json` does not say.
    pub(crate) pad: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SentenceConfig {
    max_seq_length: Option<f64>,
    do_lower_case: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenizerConfig {
    model_max_length: Option<f64>,
    truncation_side: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NetworkConfig {
    max_position_embeddings: Option<f64>,
    model_type: Option<String>,
    pad_token_id: Value,
}

impl Limit {
    /// Reads `sentence_bert_config.json`, `tokenizer_config.json` and `config.json`, each of which
    /// may be absent.
    ///
    /// # Errors
    /// Failed if one is not valid.
    pub(crate) fn read(folder: &Folder<'_>) -> Result<Self, Error> {
        let sentence: SentenceConfig =
            folder.json("sentence_bert_config.json")?.unwrap_or_default();
        let tokenizer: TokenizerConfig = folder.json("tokenizer_config.json")?.unwrap_or_default();
        let network: NetworkConfig = folder.json("config.json")?.unwrap_or_default();

        let wanted = whole(sentence.max_seq_length).or(whole(tokenizer.model_max_length));
        let direction = match tokenizer.truncation_side.as_deref() {
            Some("left") => Some(TruncationDirection::Left),
            Some(_) => Some(TruncationDirection::Right),
            None => None,
        };
        Ok(Self {
            wanted,
            positions: network.positions(),
            direction,
            lowers: sentence.do_lower_case,
            pad: network.pad(),
        })
    }

    /// Returns the most tokens of a text. `own` is what `tokenizer.json` says, which counts if
    /// nothing else does.
    pub(crate) fn tokens(&self, own: Option<usize>) -> usize {
        let wanted = self.wanted.or(own).or(self.positions).unwrap_or(DEFAULT);
        wanted.min(self.positions.unwrap_or(MAX)).clamp(1, MAX)
    }

    /// Limits the positions to those of the network's file.
    pub(crate) fn with_positions(mut self, positions: Option<usize>) -> Self {
        let both = self.positions.into_iter().chain(positions);
        self.positions = both.min();
        self
    }
}

impl NetworkConfig {
    fn pad(&self) -> Option<u32> {
        self.pad_token_id.as_u64().and_then(|pad| u32::try_from(pad).ok())
    }

    fn positions(&self) -> Option<usize> {
        let positions = whole(self.max_position_embeddings)?;
        let kind = self.model_type.as_deref().unwrap_or_default();
        let before =
            if POSITIONS_AFTER_PAD.contains(&kind) { self.pad().unwrap_or(1) + 1 } else { 0 };
        Some(positions.saturating_sub(before as usize).max(1))
    }
}

/// Returns a limit as a whole number. The libraries write 1e30 for none.
fn whole(limit: Option<f64>) -> Option<usize> {
    limit.filter(|limit| *limit >= 1.0 && *limit <= 1e9).map(|limit| limit as usize)
}
