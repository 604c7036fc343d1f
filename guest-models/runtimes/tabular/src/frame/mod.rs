//! Rows of a table: a matrix of numbers, or a tensor for each column where some have texts.

mod categories;
pub(crate) use categories::Categories;

mod inputs;
pub(crate) use inputs::{Column, Inputs};
