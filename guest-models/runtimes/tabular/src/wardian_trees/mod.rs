//! The JSON format `wardian-trees`, for estimators that have no exporter. `docs/wardian-trees.md`
//! describes its fields.

mod document;

mod last_step;
use last_step::LastStep;

mod tree;

mod model;
pub(crate) use model::open;

#[cfg(test)]
mod tests;
