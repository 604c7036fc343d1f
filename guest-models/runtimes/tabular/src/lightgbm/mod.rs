//! LightGBM's text format, versions 2 to 4.
//!
//! A file is a header, the trees, and sections that do not change the answers, apart from the last
//! line: the categories of a pandas frame. The library compares and adds doubles, so the inputs are
//! `FP64`.

mod lines;
use lines::Lines;

mod header;
use header::Header;

mod objective;
use objective::Objective;

mod tree_section;

mod columns;

mod model;
pub(crate) use model::open;

#[cfg(test)]
mod tests;
