//! Support vector machines.

mod classifier;
mod kernel;
mod pairwise;
mod regressor;

#[cfg(test)]
mod tests;

pub(super) use classifier::CLASSIFIER;
pub(super) use regressor::REGRESSOR;
