//! The operators of ai.onnx.ml, and those of text.

mod array_feature_extractor;
mod binarizer;
mod feature_vectorizer;
mod imputer;
mod key;
mod label_encoder;
mod labels;
mod linear;
mod matrix;
mod normalizer;
mod one_hot_encoder;
mod post_transform;
mod scaler;
mod svm;
mod text;
mod tree_ensemble;
mod zip_map;

use super::operators::Operator;

pub(crate) const OPERATORS: &[Operator] = &[
    array_feature_extractor::OPERATOR,
    binarizer::OPERATOR,
    feature_vectorizer::OPERATOR,
    imputer::OPERATOR,
    label_encoder::CATEGORY_MAPPER,
    label_encoder::FIRST,
    label_encoder::SECOND,
    linear::CLASSIFIER,
    linear::REGRESSOR,
    normalizer::OPERATOR,
    one_hot_encoder::OPERATOR,
    scaler::OPERATOR,
    svm::CLASSIFIER,
    svm::REGRESSOR,
    text::STRING_NORMALIZER,
    text::TFIDF_VECTORIZER,
    text::TOKENIZER,
    tree_ensemble::CLASSIFIER,
    tree_ensemble::ENSEMBLE,
    tree_ensemble::REGRESSOR,
    zip_map::OPERATOR,
];
