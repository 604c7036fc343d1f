//! From the graph of a file to a program: checks, order, types, slots.

mod compile;
mod fold;
mod names;
mod opsets;
mod order;
mod slots;

pub use compile::{Compiled, GraphInput, Language, compile};
pub use opsets::Opsets;
