//! A forward-only JSON reader.

use std::borrow::Cow;
use std::fmt;

use super::number::Number;
use crate::model::hint;
use crate::tenant::Pacer;

/// A JSON error with its position.
#[derive(Debug, PartialEq, Eq)]
// Boxed, because every read returns a `Result` with it and errors are rare.
pub(in crate::api) struct JsonError(Box<ErrorDetail>);

#[derive(Debug, PartialEq, Eq)]
struct ErrorDetail {
    text: String,
    at: usize,
}

/// A position in a JSON text.
#[derive(Clone)]
pub(in crate::api) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Position of the next checkpoint.
    checkpoint: usize,
    pacer: Option<&'a Pacer>,
    /// The words that stand for numbers that are not finite.
    non_finite: NonFinite,
}

/// The notation of numbers that are not finite. JSON itself has none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NonFinite {
    Never,
    /// As the texts `"NaN"`, `"Infinity"` and `"-Infinity"`.
    Texts,
    /// As the bare words that Python writes.
    Words,
}

/// Bytes between two checkpoints. Reading them takes about 0.1 ms.
const STEP: usize = 16 << 10;

/// Maximum nesting depth, which bounds the recursion. No request nests deeper.
const MAX_DEPTH: u32 = 64;

impl JsonError {
    fn new(text: impl Into<String>, at: usize) -> JsonError {
        JsonError(Box::new(ErrorDetail { text: text.into(), at }))
    }

    /// Prefixes the error with the part of the text in which it occurred.
    pub(in crate::api) fn in_context(mut self, context: impl fmt::Display) -> JsonError {
        self.0.text = format!("{context}: {}", self.0.text);
        self
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (at byte {} of the JSON)", self.0.text, self.0.at)
    }
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of a text. Fails if it is not UTF-8.
    pub(in crate::api) fn new(text: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(text)
            .map_err(|error| JsonError::new("the JSON is not UTF-8", error.valid_up_to()))?;
        Ok(Reader {
            text,
            at: 0,
            checkpoint: usize::MAX,
            pacer: None,
            non_finite: NonFinite::Never,
        })
    }

    /// Like [`Reader::new`], for long texts: yields at checkpoints of `pacer`.
    pub(in crate::api) fn paced(text: &'a [u8], pacer: &'a Pacer) -> Result<Self, JsonError> {
        Ok(Reader { checkpoint: STEP, pacer: Some(pacer), ..Reader::new(text)? })
    }

    /// Lets the texts `NaN`, `Infinity` and `-Infinity` stand for these numbers in tensors.
    pub(in crate::api) fn with_non_finite_texts(mut self) -> Self {
        self.non_finite = NonFinite::Texts;
        self
    }

    /// Lets the bare words `NaN`, `Infinity` and `-Infinity` stand for these numbers.
    pub(in crate::api) fn with_non_finite_words(mut self) -> Self {
        self.non_finite = NonFinite::Words;
        self
    }

    /// Lets nothing stand for these numbers.
    pub(in crate::api) fn without_non_finite(mut self) -> Self {
        self.non_finite = NonFinite::Never;
        self
    }

    /// Yields if the next checkpoint has been reached. Fails if the work has been stopped.
    #[inline]
    fn yield_if_due(&mut self, at: usize) -> Result<(), JsonError> {
        if at < self.checkpoint { Ok(()) } else { self.yield_now(at) }
    }

    #[cold]
    fn yield_now(&mut self, at: usize) -> Result<(), JsonError> {
        self.checkpoint = at.saturating_add(STEP);
        let went_on = self.pacer.map_or(Ok(()), Pacer::checkpoint);
        went_on.map_err(|stopped| self.error(stopped.to_string()))
    }

    /// Creates an error at the current position.
    pub(in crate::api) fn error(&self, text: impl Into<String>) -> JsonError {
        JsonError::new(text, self.at)
    }

    /// Returns the number of bytes left.
    pub(in crate::api) fn remaining(&self) -> usize {
        self.text.len() - self.at
    }

    /// Returns the first byte of the next value or punctuation. Skips white space.
    #[inline]
    pub(in crate::api) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                next => return next.copied(),
            }
        }
    }

    /// Checks that nothing is left.
    pub(in crate::api) fn expect_end(mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error("there is something after the end of the JSON")),
        }
    }

    /// Reads an object. Calls `member` with each key; `member` must read the value.
    #[inline]
    pub(in crate::api) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.expect_punctuation(b'{', "expected an object")?;
        if self.consume(b'}') {
            return Ok(());
        }

        loop {
            let key = self.string()?;
            self.expect_punctuation(b':', "expected ':' after a key")?;
            member(self, key)?;
            self.yield_if_due(self.at)?;
            if self.consume(b'}') {
                return Ok(());
            }
            self.expect_punctuation(b',', "expected ',' or '}' in an object")?;
        }
    }

    /// Reads an object with the given keys (at most 16), each at most once. Calls `member` with
    /// each key; `member` must read the value.
    #[inline]
    pub(in crate::api) fn object_with_keys(
        &mut self,
        keys: &[&'static str],
        mut member: impl FnMut(&mut Self, &'static str) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        let mut seen = 0u16;
        self.object(|reader, key| {
            let Some(index) = keys.iter().position(|known| *known == key) else {
                let hint = hint("keys", &key, keys.iter().copied());
                return Err(reader.error(format!("unknown key '{}'{hint}", shorten(&key))));
            };
            if seen & (1 << index) != 0 {
                return Err(reader.error(format!("key '{key}' is given twice")));
            }
            seen |= 1 << index;
            member(reader, keys[index])
        })
    }

    /// Reads an array. Calls `element` at each element; `element` must read it.
    #[inline]
    pub(in crate::api) fn array(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.expect_punctuation(b'[', "expected an array")?;
        if self.consume(b']') {
            return Ok(());
        }

        loop {
            element(self)?;
            self.yield_if_due(self.at)?;
            if self.consume(b']') {
                return Ok(());
            }
            self.expect_punctuation(b',', "expected ',' or ']' in an array")?;
        }
    }

    /// Moves to the next element of an array whose elements are read one by one. Returns false at
    /// its end. `first` is true before the first element.
    pub(in crate::api) fn next_element(&mut self, first: bool) -> Result<bool, JsonError> {
        if first {
            self.expect_punctuation(b'[', "expected an array")?;
        }
        if self.consume(b']') {
            return Ok(false);
        }
        if !first {
            self.expect_punctuation(b',', "expected ',' or ']' in an array")?;
        }

        self.yield_if_due(self.at).map(|()| true)
    }

    /// Consumes the start of an array. Returns false if another token is next.
    pub(in crate::api) fn consume_array_start(&mut self) -> bool {
        self.consume(b'[')
    }

    /// Reads a string. It is borrowed from the text unless it contains escapes.
    #[inline]
    pub(in crate::api) fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let (token, escaped) = self.string_token()?;
        if !escaped {
            // The quotes are ASCII, so the text between them is valid UTF-8.
            return Ok(Cow::Borrowed(token.get(1..token.len() - 1).unwrap_or_default()));
        }

        serde_json::from_str(token)
            .map(Cow::Owned)
            .map_err(|_| self.error("the preceding string has an invalid escape"))
    }

    /// Reads a number.
    #[inline]
    pub(in crate::api) fn number(&mut self) -> Result<Number<'a>, JsonError> {
        let start = self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some(number) = Number::scan(rest) else { return Err(self.not_a_number(start)) };

        self.at += number.text.len();

        Ok(number)
    }

    /// Reads a word that stands for a number that is not finite. Returns `None` if another token is
    /// next, or such words have no meaning here.
    #[cold]
    pub(in crate::api) fn non_finite(&mut self) -> Option<f64> {
        let words = match self.non_finite {
            NonFinite::Never => return None,
            NonFinite::Texts => [r#""NaN""#, r#""Infinity""#, r#""-Infinity""#],
            NonFinite::Words => ["NaN", "Infinity", "-Infinity"],
        };

        let rest = self.text.get(self.at..).unwrap_or_default();
        let numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        let (word, number) =
            words.into_iter().zip(numbers).find(|(word, _)| rest.starts_with(word))?;

        self.at += word.len();

        Some(number)
    }

    /// Reads `true` or `false`.
    #[inline]
    pub(in crate::api) fn boolean(&mut self) -> Result<bool, JsonError> {
        match self.peek() {
            Some(b't') => self.literal("true").map(|()| true),
            Some(b'f') => self.literal("false").map(|()| false),
            other => Err(self.expected("true or false", other)),
        }
    }

    /// Consumes `null`. Returns false if another token is next.
    pub(in crate::api) fn null(&mut self) -> Result<bool, JsonError> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.literal("null").map(|()| true)
    }

    /// Reads and discards any value. Fails if it is malformed or nested too deeply.
    pub(in crate::api) fn skip(&mut self) -> Result<(), JsonError> {
        self.skip_within(MAX_DEPTH)
    }

    /// Reads any value and returns its text. Fails like [`Reader::skip`].
    pub(in crate::api) fn raw(&mut self) -> Result<&'a str, JsonError> {
        self.peek();
        let start = self.at;
        self.skip()?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn skip_within(&mut self, depth: u32) -> Result<(), JsonError> {
        let next = self.peek();
        if depth == 0 && matches!(next, Some(b'{' | b'[')) {
            return Err(self.error(format!("the JSON is nested more than {MAX_DEPTH} deep")));
        }

        match next {
            Some(b'{') => self.object(|reader, _| reader.skip_within(depth - 1)),
            Some(b'[') => self.array(|reader| reader.skip_within(depth - 1)),
            Some(b'"') => self.string().map(drop),
            Some(b't' | b'f') => self.boolean().map(drop),
            Some(b'n') => self.literal("null"),
            _ => match self.number() {
                Err(_) if self.non_finite == NonFinite::Words && self.non_finite().is_some() => {
                    Ok(())
                }
                number => number.map(drop),
            },
        }
    }

    /// Returns the error for an unexpected token.
    #[cold]
    pub(in crate::api) fn expected(&self, wanted: &str, found: Option<u8>) -> JsonError {
        let found = match found {
            None => "the end of the JSON",
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            Some(b'-' | b'0'..=b'9') => "a number",
            Some(_) => "something that is not JSON",
        };

        self.error(format!("expected {wanted}, found {found}"))
    }

    #[cold]
    fn not_a_number(&self, found: Option<u8>) -> JsonError {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if ["NaN", "nan", "Infinity", "-Infinity", "inf", "-inf"]
            .iter()
            .any(|word| rest.starts_with(word))
        {
            return self.error("JSON has no NaN or Infinity; send this tensor as binary data");
        }

        match found {
            Some(b'-' | b'0'..=b'9') => self.error("this is not a valid JSON number"),
            other => self.expected("a number", other),
        }
    }

    #[inline]
    fn consume(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn expect_punctuation(&mut self, wanted: u8, text: &str) -> Result<(), JsonError> {
        if self.consume(wanted) { Ok(()) } else { Err(self.error(text)) }
    }

    fn literal(&mut self, word: &str) -> Result<(), JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.error(format!("expected {word}")));
        }

        self.at += word.len();

        Ok(())
    }

    /// Consumes a string with its quotes. Returns true with it if it contains escapes.
    #[inline]
    fn string_token(&mut self) -> Result<(&'a str, bool), JsonError> {
        let next = self.peek();
        if next != Some(b'"') {
            return Err(self.expected("a string", next));
        }

        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        let mut escaped = false;

        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => (end, escaped) = (end + 2, true),
                Some(0x20..) => {
                    end += 1;
                    self.yield_if_due(end)?;
                }
                Some(_) => {
                    return Err(
                        self.error("a string holds a control character that is not escaped")
                    );
                }
                None => return Err(self.error("a string does not end")),
            }
        }

        let token = self.text.get(self.at..=end).unwrap_or_default();
        self.at = end + 1;

        Ok((token, escaped))
    }
}

/// Sanitizes and shortens caller-supplied text for an error text.
pub(in crate::api) fn shorten(text: &str) -> String {
    crate::model::sanitize(text, 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accepts(text: &[u8]) -> bool {
        Reader::new(text)
            .and_then(|mut reader| reader.skip().and_then(|()| reader.expect_end()))
            .is_ok()
    }

    #[test]
    fn strings_are_unescaped() {
        for text in [r#""""#, r#""plain é""#, r#""a\"b\\c\n\u00e9\ud83d\ude00""#] {
            let mut reader = Reader::new(text.as_bytes()).unwrap();
            assert_eq!(reader.string().unwrap(), serde_json::from_str::<String>(text).unwrap());
            assert_eq!(reader.remaining(), 0);
        }
    }

    #[test]
    fn nesting_bomb_is_rejected() {
        let mut reader_text = "[".repeat(100_000);
        assert!(!accepts(reader_text.as_bytes()));
        reader_text = "[".repeat(64) + &"]".repeat(64);
        assert!(accepts(reader_text.as_bytes()));
    }

    #[test]
    fn reader_accepts_what_serde_json_accepts() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "{}",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{1:2}",
            "nul",
            "null",
            "truex",
            "tru",
            "\"",
            "\"\\",
            "\"\\\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud83d\\ude00\"",
            "\"\u{7f}\"",
            "\"\t\"",
            "1 1",
            " 1 ",
            "-",
            "--1",
            "1e5",
            "\u{feff}1",
            "\u{a0}1",
            "[\"é\"]",
            "[[],{}]",
        ] {
            let theirs = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(accepts(text.as_bytes()), theirs, "{text:?}");
        }

        assert!(!accepts(b"\"\xff\""));
    }

    proptest! {
        #[test]
        fn reader_agrees_with_serde_json_on_arbitrary_text(text in "[\\[\\]{}:,\" \\\\a-fnrtu0-9eE.+-]{0,24}") {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            // serde_json rejects numbers out of range here; the reader does so only once the
            // datatype is known.
            let out_of_range = theirs.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
            prop_assert!(accepts(text.as_bytes()) == theirs.is_ok() || out_of_range, "{}", text);
        }
    }
}
