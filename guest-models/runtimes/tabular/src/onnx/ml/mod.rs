//! The operators of ai.onnx.ml.

mod array_feature_extractor;
mod binarizer;
mod feature_vectorizer;
mod imputer;
mod label_encoder;
mod labels;
mod linear;
mod normalizer;
mod one_hot_encoder;
mod post_transform;
mod scaler;
mod svm;
mod tree_ensemble;
mod zip_map;

use onnx_executor::operators::Operator;

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
    tree_ensemble::CLASSIFIER,
    tree_ensemble::ENSEMBLE,
    tree_ensemble::REGRESSOR,
    zip_map::OPERATOR,
];
