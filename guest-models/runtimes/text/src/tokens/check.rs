//! The kinds of tokenizers that are served, and the limits of `tokenizer.json`.

use serde::Deserialize;
use serde_json::Value;
use wardian_sdk::{Error, OrError};

/// The name of the file.
pub(super) const FILE: &str = "tokenizer.json";

/// Bytes of the file. Those of 250,000 tokens have 17 million, of 500,000 with merges 40.
const MAX_FILE: usize = 64 << 20;
/// Characters of a regular expression. Real ones have at most 1000.
const MAX_EXPRESSION: usize = 4096;
/// Parts of the tokenizer: normalizers and others, one in the other.
const MAX_PARTS: usize = 256;

/// Parts in each other. Real ones are two or three deep.
const MAX_DEPTH: usize = 16;

/// Kinds of the model, the part that knows the vocabulary.
const MODELS: &[&str] = &["BPE", "Unigram", "WordLevel", "WordPiece"];

/// Kinds of the other parts.
const PARTS: &[&str] = &[
    "BertNormalizer",
    "BertPreTokenizer",
    "BertProcessing",
    "ByteLevel",
    "CharDelimiterSplit",
    "Digits",
    "FixedLength",
    "Lowercase",
    "Metaspace",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Nmt",
    "Precompiled",
    "Prepend",
    "Punctuation",
    "Replace",
    "RobertaProcessing",
    "Sequence",
    "Split",
    "Strip",
    "StripAccents",
    "TemplateProcessing",
    "UnicodeScripts",
    "Whitespace",
    "WhitespaceSplit",
];

/// The parts whose kinds are looked at. The vocabulary is skipped.
#[derive(Deserialize)]
struct Outline {
    model: ModelOutline,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
}

#[derive(Deserialize)]
struct ModelOutline {
    /// Absent in files of the first versions.
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    dropout: Option<f64>,
}

/// Checks that a file is of kinds that are served, and within the limits.
///
/// # Errors
/// Failed with the kind or the limit, and what to do.
pub(super) fn check(file: &[u8]) -> Result<(), Error> {
    if file.len() > MAX_FILE {
        let length = file.len();
        return Err(refused(format_args!("it has {length} bytes, more than {MAX_FILE}")));
    }
    let outline: Outline = serde_json::from_slice(file).or_failed(FILE)?;
    if let Some(kind) = &outline.model.kind {
        check_kind("model", kind, MODELS)?;
    }
    if outline.model.dropout.is_some_and(|dropout| dropout != 0.0) {
        let reason = "its `dropout` makes answers random; set it to null";
        return Err(refused(reason));
    }

    let mut parts = Parts { left: MAX_PARTS };
    parts.check("normalizer", &outline.normalizer, 0)?;
    parts.check("pre_tokenizer", &outline.pre_tokenizer, 0)?;
    parts.check("post_processor", &outline.post_processor, 0)
}

/// A walk over the parts of a tokenizer.
struct Parts {
    left: usize,
}

impl Parts {
    /// Looks at a part and at those within it.
    fn check(&mut self, place: &str, part: &Value, depth: usize) -> Result<(), Error> {
        match part {
            Value::Object(fields) => {
                let mut inner = depth;
                if let Some(Value::String(kind)) = fields.get("type") {
                    check_kind(place, kind, PARTS)?;
                    self.count(depth)?;
                    inner += 1;
                }
                if let Some(Value::String(expression)) = fields.get("Regex") {
                    check_expression(place, expression)?;
                }
                fields.values().try_for_each(|value| self.check(place, value, inner))
            }
            Value::Array(values) => {
                values.iter().try_for_each(|value| self.check(place, value, depth))
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, depth: usize) -> Result<(), Error> {
        if depth >= MAX_DEPTH {
            return Err(refused(format_args!("its parts are more than {MAX_DEPTH} deep")));
        }
        let left = self.left.checked_sub(1);
        self.left =
            left.ok_or_else(|| refused(format_args!("it has more than {MAX_PARTS} parts")))?;
        Ok(())
    }
}

fn check_expression(place: &str, expression: &str) -> Result<(), Error> {
    let length = expression.len();
    if length > MAX_EXPRESSION {
        return Err(refused(format_args!(
            "the {place} has a regular expression of {length} bytes, more than {MAX_EXPRESSION}"
        )));
    }
    Ok(())
}

fn check_kind(place: &str, kind: &str, known: &[&str]) -> Result<(), Error> {
    if known.contains(&kind) {
        return Ok(());
    }
    let shown: String = kind.chars().take(64).collect();
    let known = known.join(", ");
    Err(refused(format_args!(
        "the {place} {shown:?} is not served; those that are: {known}. Save the tokenizer with \
         `AutoTokenizer.from_pretrained(...).save_pretrained(folder)` of transformers, or remove \
         {FILE} to serve the network for numbers of tokens"
    )))
}

fn refused(reason: impl std::fmt::Display) -> Error {
    Error::failed(format_args!("{FILE}: {reason}"))
}
