//! The operators that converters write for text vectorizers: they normalize texts, cut them into
//! tokens, and count n-grams.

mod string_normalizer;
mod tfidf_vectorizer;
mod tokenizer;

use super::Operator;

/// The operators of this folder.
pub const OPERATORS: &[Operator] =
    &[string_normalizer::OPERATOR, tfidf_vectorizer::OPERATOR, tokenizer::OPERATOR];
