//! From the graph of a file to a program: checks, order, types, slots.

mod activations;
mod compile;
mod constant_folding;
mod external;
mod functions;
mod fusion;
mod names;
mod opsets;
mod order;
mod slots;

pub use compile::{Compiled, GraphInput, Language, compile};
pub use external::{ReadFile, resolve};
pub use functions::inline;
pub use opsets::Opsets;
