//! Texts as tokens: what the network reads.

mod check;
mod limit;

use tokenizers::utils::truncation::{TruncationDirection, TruncationParams};
use tokenizers::{EncodeInput, Encoding, Tokenizer};
use wardian_sdk::{Error, OrError};

use crate::folder::Folder;
pub(crate) use limit::Limit;

/// Bytes of one text. What is beyond the limit of tokens is cut off only after all of it was read,
/// so this bounds the work; it is some hundred pages.
pub(crate) const MAX_TEXT: usize = 256 << 10;

/// A text, or two texts that are read together.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) first: &'a str,
    pub(crate) second: Option<&'a str>,
}

/// The tokens of a text.
pub(crate) struct Tokens {
    /// The numbers of the tokens.
    pub(crate) ids: Vec<u32>,
    /// 1 for those of the second text, else 0.
    pub(crate) types: Vec<u32>,
    /// The places of the tokens in the text; empty if they were not asked for.
    pub(crate) places: Vec<Place>,
}

/// The place of a token in a text, in characters.
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// True if the token was added and is no part of the text.
    pub(crate) is_added: bool,
}

/// The tokenizer of a folder.
pub(crate) struct TextTokenizer {
    tokenizer: Tokenizer,
    lowers: bool,
    prefix: String,
    pad: u32,
    limit: usize,
}

impl TextTokenizer {
    /// Reads `tokenizer.json`. Texts are cut at the limit and not padded, whatever the file says of
    /// that.
    ///
    /// # Errors
    /// Failed if it is not valid, or of a kind that is not served.
    pub(crate) fn read(folder: &Folder<'_>, limit: Limit, prefix: String) -> Result<Self, Error> {
        let file = folder.read(check::FILE)?;
        check::check(&file)?;
        let tokenizer = Tokenizer::from_bytes(&file);
        let mut tokenizer = tokenizer.or_failed(check::FILE)?;

        let own = tokenizer.get_truncation();
        let direction = limit
            .direction
            .unwrap_or_else(|| own.map_or(TruncationDirection::Right, |own| own.direction));
        let tokens = limit.tokens(own.map(|own| own.max_length));
        let truncation = TruncationParams { max_length: tokens, direction, ..Default::default() };
        let truncated = tokenizer.with_truncation(Some(truncation)).map(drop);
        truncated.or_failed(format_args!("the limit of {tokens} tokens"))?;

        let own_pad = tokenizer.get_padding().map(|padding| padding.pad_id);
        let pad = limit.pad.or(own_pad).unwrap_or_default();
        tokenizer.with_padding(None);
        Ok(Self { tokenizer, lowers: limit.lowers, prefix, pad, limit: tokens })
    }

    /// Returns the most tokens of a text.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the token that fills rows.
    pub(crate) fn pad(&self) -> u32 {
        self.pad
    }

    /// Returns the largest number of a token.
    pub(crate) fn last_id(&self) -> u32 {
        self.tokenizer.get_vocab(true).values().copied().max().unwrap_or_default()
    }

    /// Returns the tokens of a text, with their places if these are wanted.
    ///
    /// # Errors
    /// Rejected if the text is too long, or no tokens are left of it.
    pub(crate) fn tokens(&self, text: Text<'_>, with_places: bool) -> Result<Tokens, Error> {
        check_length(text.first)?;
        text.second.map_or(Ok(()), check_length)?;
        let first = self.prepared(text.first);
        let input: EncodeInput<'_> = match text.second {
            Some(second) => (first, self.lowered(second)).into(),
            None => first.into(),
        };

        let encoding = if with_places {
            self.tokenizer.encode_char_offsets(input, true)
        } else {
            self.tokenizer.encode_fast(input, true)
        };
        let encoding = encoding.or_rejected("the tokenizer does not take this text")?;
        if encoding.is_empty() {
            return Err(Error::rejected("the tokenizer makes no tokens of this text"));
        }
        Ok(Tokens {
            ids: encoding.get_ids().to_vec(),
            types: encoding.get_type_ids().to_vec(),
            places: if with_places { places(&encoding) } else { Vec::new() },
        })
    }

    fn prepared(&self, text: &str) -> String {
        self.lowered(&format!("{}{text}", self.prefix))
    }

    fn lowered(&self, text: &str) -> String {
        if self.lowers { text.to_lowercase() } else { text.to_owned() }
    }
}

fn check_length(text: &str) -> Result<(), Error> {
    if text.len() <= MAX_TEXT {
        return Ok(());
    }
    let length = text.len();
    Err(Error::rejected(format_args!(
        "a text has {length} bytes, and at most {MAX_TEXT} are read; send parts of it"
    )))
}

fn places(encoding: &Encoding) -> Vec<Place> {
    let added = encoding.get_special_tokens_mask().iter();
    let places = encoding.get_offsets().iter().zip(added);
    places
        .map(|((start, end), added)| Place { start: *start, end: *end, is_added: *added == 1 })
        .collect()
}
