//! Ensembles of decision trees, shared by all formats that have them.
//!
//! A reader of a format gives every tree's [`Node`]s to an [`EnsembleBuilder`], which checks them:
//! a cycle, a node with two parents, an index out of range or too deep a tree is refused. The
//! [`Ensemble`] walks the trees for a block of rows and adds their leaves in the order of the
//! trees. Numbers are `f32` or `f64` throughout, whichever the library compares and adds in.

mod number;
pub use number::Number;

mod node;
pub use node::{Categories, Leaf, Missing, Node, Split, Test};

mod builder;
pub use builder::{EnsembleBuilder, MAX_DEPTH};

mod columns;
mod threshold;
mod tree_sequence;
mod walk;

mod ensemble;
pub use ensemble::{Ensemble, Extreme};

#[cfg(test)]
mod tests;
