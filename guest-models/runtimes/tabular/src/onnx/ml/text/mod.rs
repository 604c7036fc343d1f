//! Operators of text, as converters write them for text vectorizers.

mod string_normalizer;
mod tfidf_vectorizer;
mod tokenizer;

pub(super) use string_normalizer::OPERATOR as STRING_NORMALIZER;
pub(super) use tfidf_vectorizer::OPERATOR as TFIDF_VECTORIZER;
pub(super) use tokenizer::OPERATOR as TOKENIZER;
