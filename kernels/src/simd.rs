//! The inner loops, for each instruction set, and the choice between them.
//!
//! This module and its children are the only code of the crate with `unsafe`. It is sound for three
//! reasons.
//!
//! - **Instructions.** Code for an instruction set runs only through an [`InstructionSet`], and
//!   there is one only where the processor has been found to have the instructions.
//! - **Addresses.** The functions that others call are safe: [`Block::run`] and
//!   [`IntegerBlock::run`] compare every address that they will form with the lengths of the slices
//!   before they form the first one. The loops below take what was checked, and nothing else.
//! - **Aliasing.** The output is a mutable slice, so the borrow checker keeps it apart from the
//!   inputs. Several threads write it through a [`SharedOutput`], which lends each an area and
//!   checks that no two have an element in common. The conversions between bytes and numbers in
//!   [`bytes`] check the alignment, and only between types for which every pattern of bits is a
//!   value.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod block;
pub mod bytes;
mod instruction_set;
mod integer_block;
mod integer_tile;
mod loops;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod shared_output;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
mod tile;
mod vector;

pub(crate) use block::{Block, Finish, Left, Right};
pub use instruction_set::InstructionSet;
pub(crate) use integer_block::{GROUP, IntegerBlock};
pub(crate) use loops::Loop;
pub(crate) use shared_output::{Area, Part, SharedOutput};

/// Columns side by side in packed matrices. It is the number of lanes of the widest registers, and
/// a multiple of that of all others, so all instruction sets share one layout.
pub(crate) const PANEL: usize = 16;
