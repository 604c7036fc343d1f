//! The numbers that thresholds, features and leaves are made of.

use std::fmt::Debug;
use std::ops::{AddAssign, Mul, Neg};

/// `f32` or `f64`.
pub trait Number:
    Copy
    + Debug
    + Default
    + PartialOrd
    + AddAssign
    + Mul<Output = Self>
    + Neg<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// Not a number.
    const NAN: Self;
    /// The lowest number.
    const NEG_INFINITY: Self;

    /// Tells whether it is not a number.
    fn is_nan(self) -> bool;

    /// Returns the greatest number below it.
    fn next_down(self) -> Self;

    /// Returns the same value as a double.
    fn widen(self) -> f64;
}

impl Number for f32 {
    const NAN: Self = f32::NAN;
    const NEG_INFINITY: Self = f32::NEG_INFINITY;

    fn is_nan(self) -> bool {
        self.is_nan()
    }

    fn next_down(self) -> Self {
        self.next_down()
    }

    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Number for f64 {
    const NAN: Self = f64::NAN;
    const NEG_INFINITY: Self = f64::NEG_INFINITY;

    fn is_nan(self) -> bool {
        self.is_nan()
    }

    fn next_down(self) -> Self {
        self.next_down()
    }

    fn widen(self) -> f64 {
        self
    }
}
