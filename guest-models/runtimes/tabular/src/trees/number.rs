//! The numbers that thresholds, features and leaves are made of.

use std::fmt::Debug;
use std::ops::{AddAssign, Mul};

/// `f32` or `f64`.
pub trait Number:
    Copy + Debug + Default + PartialOrd + AddAssign + Mul<Output = Self> + Send + Sync + 'static
{
    /// Tells whether it is not a number.
    fn is_nan(self) -> bool;

    /// Returns the same value as a double.
    fn widen(self) -> f64;
}

impl Number for f32 {
    fn is_nan(self) -> bool {
        self.is_nan()
    }

    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Number for f64 {
    fn is_nan(self) -> bool {
        self.is_nan()
    }

    fn widen(self) -> f64 {
        self
    }
}
