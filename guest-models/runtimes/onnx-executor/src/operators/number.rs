//! Arithmetic on the types of elements.

use wardian_sdk::kernels::functions;

use crate::tensor::Element;

/// A number: of integers, additions and multiplications wrap around.
pub trait Number: Element + Copy + PartialOrd {
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// A number that none is smaller than.
    const LOWEST: Self;
    /// A number that none is larger than.
    const HIGHEST: Self;

    /// Adds.
    fn plus(self, other: Self) -> Self;
    /// Subtracts.
    fn minus(self, other: Self) -> Self;
    /// Multiplies.
    fn times(self, other: Self) -> Self;
    /// Divides, integers towards 0; `None` for an integer by 0.
    fn over(self, other: Self) -> Option<Self>;
    /// The remainder with the sign of the divisor; `None` for an integer by 0.
    fn modulo(self, other: Self) -> Option<Self>;
    /// The remainder with the sign of the dividend; `None` for an integer by 0.
    fn remainder(self, other: Self) -> Option<Self>;
    /// Raises to a power.
    fn power(self, exponent: f64) -> Self;
    /// Changes the sign.
    fn negative(self) -> Self;
    /// Removes the sign.
    fn absolute(self) -> Self;
    /// -1, 0 or 1; NaN for NaN.
    fn sign(self) -> Self;
    /// Returns true if it is no number.
    fn is_nan(self) -> bool;
    /// Converts to a double.
    fn to_f64(self) -> f64;
    /// The nearest number, towards 0 for integers.
    fn from_f64(value: f64) -> Self;

    /// Returns true if it is below 0, as neither NaN nor -0 is.
    fn is_below_zero(self) -> bool {
        self < Self::ZERO
    }

    /// The larger one; NaN if one is NaN.
    fn larger(self, other: Self) -> Self {
        if self.is_nan() || self > other { self } else { other }
    }

    /// The smaller one; NaN if one is NaN.
    fn smaller(self, other: Self) -> Self {
        if self.is_nan() || self < other { self } else { other }
    }
}

/// A number with a fraction.
pub trait Float: Number {
    /// Applies a function of doubles.
    fn map(self, function: fn(f64) -> f64) -> Self;
    /// Returns e to this power.
    fn exp(self) -> Self;
    /// Returns the hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Returns 1 / (1 + e^-x).
    fn sigmoid(self) -> Self;
    /// Returns the error function.
    fn erf(self) -> Self;
    /// Rounds to the nearest integer, halves to the even one.
    fn round(self) -> Self;
}

macro_rules! floats {
    ($($number:ident: $functions:ident),*) => {$(
        impl Number for $number {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const LOWEST: Self = $number::NEG_INFINITY;
            const HIGHEST: Self = $number::INFINITY;

            fn plus(self, other: Self) -> Self {
                self + other
            }

            fn minus(self, other: Self) -> Self {
                self - other
            }

            fn times(self, other: Self) -> Self {
                self * other
            }

            fn over(self, other: Self) -> Option<Self> {
                Some(self / other)
            }

            fn modulo(self, other: Self) -> Option<Self> {
                let rest = self % other;
                let differs = rest != 0.0 && (rest < 0.0) != (other < 0.0);
                Some(if differs { rest + other } else { rest })
            }

            fn remainder(self, other: Self) -> Option<Self> {
                Some(self % other)
            }

            fn power(self, exponent: f64) -> Self {
                self.powf(exponent as $number)
            }

            fn negative(self) -> Self {
                -self
            }

            fn absolute(self) -> Self {
                self.abs()
            }

            fn sign(self) -> Self {
                if self == 0.0 || self.is_nan() { self } else { self.signum() }
            }

            fn is_nan(self) -> bool {
                $number::is_nan(self)
            }

            fn to_f64(self) -> f64 {
                self.into()
            }

            fn from_f64(value: f64) -> Self {
                value as $number
            }
        }

        impl Float for $number {
            fn map(self, function: fn(f64) -> f64) -> Self {
                function(self.into()) as $number
            }

            #[inline(always)]
            fn exp(self) -> Self {
                $functions::exp(self)
            }

            #[inline(always)]
            fn tanh(self) -> Self {
                $functions::tanh(self)
            }

            #[inline(always)]
            fn sigmoid(self) -> Self {
                $functions::sigmoid(self)
            }

            #[inline(always)]
            fn erf(self) -> Self {
                $functions::erf(self)
            }

            fn round(self) -> Self {
                self.round_ties_even()
            }
        }
    )*};
}

macro_rules! integers {
    ($($number:ident: $absolute:expr, $sign:expr;)*) => {$(
        impl Number for $number {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            const LOWEST: Self = $number::MIN;
            const HIGHEST: Self = $number::MAX;

            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }

            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }

            fn over(self, other: Self) -> Option<Self> {
                (other != 0).then(|| self.wrapping_div(other))
            }

            fn modulo(self, other: Self) -> Option<Self> {
                let rest = self.remainder(other)?;
                let differs = rest != 0 && rest.is_below_zero() != other.is_below_zero();
                Some(if differs { rest.wrapping_add(other) } else { rest })
            }

            fn remainder(self, other: Self) -> Option<Self> {
                (other != 0).then(|| self.wrapping_rem(other))
            }

            fn power(self, exponent: f64) -> Self {
                if exponent.fract() == 0.0 && (0.0..=64.0).contains(&exponent) {
                    return self.wrapping_pow(exponent as u32);
                }
                (self as f64).powf(exponent) as $number
            }

            fn negative(self) -> Self {
                self.wrapping_neg()
            }

            fn absolute(self) -> Self {
                $absolute(self)
            }

            fn sign(self) -> Self {
                $sign(self)
            }

            fn is_nan(self) -> bool {
                false
            }

            fn to_f64(self) -> f64 {
                self as f64
            }

            fn from_f64(value: f64) -> Self {
                value as $number
            }
        }
    )*};
}

/// Functions of doubles, to the last digits.
mod precise {
    pub(super) use super::super::erf::erf;

    pub(super) fn exp(value: f64) -> f64 {
        value.exp()
    }

    pub(super) fn tanh(value: f64) -> f64 {
        value.tanh()
    }

    pub(super) fn sigmoid(value: f64) -> f64 {
        1.0 / (1.0 + (-value).exp())
    }
}

// Those of floats are made for loops of SIMD instructions.
floats!(f32: functions, f64: precise);

integers! {
    i8: i8::wrapping_abs, i8::signum;
    i16: i16::wrapping_abs, i16::signum;
    i32: i32::wrapping_abs, i32::signum;
    i64: i64::wrapping_abs, i64::signum;
    u8: |number| number, |number: u8| number.min(1);
    u16: |number| number, |number: u16| number.min(1);
    u32: |number| number, |number: u32| number.min(1);
    u64: |number| number, |number: u64| number.min(1);
}
