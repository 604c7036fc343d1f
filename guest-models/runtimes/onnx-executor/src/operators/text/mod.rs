//! Operators of text, as converters write them for text vectorizers.

mod string_normalizer;
mod tfidf_vectorizer;
mod tokenizer;

use super::Operator;

/// The operators of this folder.
pub const OPERATORS: &[Operator] =
    &[string_normalizer::OPERATOR, tfidf_vectorizer::OPERATOR, tokenizer::OPERATOR];
