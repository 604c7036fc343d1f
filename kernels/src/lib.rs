//! Matrix products, convolutions and softmax on slices, for the instruction set at hand.
//!
//! An operation is a description, such as [`Matmul`], and a set of slices, such as [`MatmulData`].
//! `run` checks the description against the slices and computes. Whatever the description says, it
//! ends with a result or an [`Error`]: sizes are computed in 64 bits, and nothing is read or
//! written outside of the slices.
//!
//! # Work in pieces
//! A long operation can be stopped and continued. After every tenth of a millisecond or so `run`
//! calls a [`Checkpoint`]; if that breaks, `run` returns the position at which another call
//! continues. The position is a number, and any number is safe: the wrong one gives wrong results.
//!
//! # Threads
//! A [`Team`] computes an operation on several threads, with the same result to the last bit: they
//! divide the elements of the output, and never a sum. The operations start no thread themselves.
//!
//! # Packed matrices
//! Weights are used many times, so they are packed once, into the order in which the inner loops
//! read them: panels of 16 columns. The layout is the same for every instruction set. Nothing but
//! the length of packed weights is ever relied on.
//!
//! # Results
//! The order of additions differs between instruction sets, and so do the last bits of a result.
//! All paths agree with exact arithmetic within the rounding of `f32`.

mod activation;
mod conv2d;
mod error;
pub mod functions;
mod integer;
mod layout;
mod matmul;
mod progress;
mod scratch;
#[allow(unsafe_code)]
mod simd;
mod softmax;
mod team;
mod work;

pub use activation::Activation;
pub use conv2d::{Conv2d, Conv2dData};
pub use error::Error;
pub use integer::{IntegerData, IntegerMatmul, IntegerOutput, IntegerPacking};
pub use layout::Strides;
pub use matmul::{Bias, Matmul, MatmulData, Packing, Right};
pub use progress::{Checkpoint, run_to_end};
pub use simd::{InstructionSet, bytes};
pub use softmax::Softmax;
pub use team::Team;

/// The version of the layout of packed weights. It changes whenever the layout does.
pub const LAYOUT: u8 = 1;
