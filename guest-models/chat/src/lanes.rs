//! Exponentials of several numbers at once.
//!
//! The functions of the standard library take one number at a time, and the network needs fifty
//! thousand for a character. These have no branches, so the compiler makes SIMD instructions of
//! them. Their error is about a millionth.

use std::f32::consts::{LN_2, LOG2_E};

use wardian_sdk::kernels::panels::PANEL;

/// One number of each vector in a panel.
pub(crate) type Lanes = [f32; PANEL];

/// A number so large that a sum with it is rounded to a whole number, which is then in its last
/// bits. There are instructions for rounding and converting too, but the compiler does not combine
/// those of several lanes.
const LAST_BIT_IS_ONE: f32 = 12_582_912.0;

/// Returns `e` to the power of each number. Exponents beyond 87 either way are clamped.
#[inline]
pub(crate) fn exp(numbers: Lanes) -> Lanes {
    numbers.map(|number| {
        let number = if number > -87.0 { number } else { -87.0 };
        let number = if number < 87.0 { number } else { 87.0 };
        // The nearest power of two is in the last bits of the sum; the rest is half a power at
        // most.
        let shifted = number * LOG2_E + LAST_BIT_IS_ONE;
        let rest = number - (shifted - LAST_BIT_IS_ONE) * LN_2;
        series(rest) * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
    })
}

/// The logistic function of each number.
#[inline]
pub(crate) fn sigmoid(numbers: Lanes) -> Lanes {
    exp(numbers.map(|number| -number)).map(|power| 1.0 / (1.0 + power))
}

/// The hyperbolic tangent of each number.
#[inline]
pub(crate) fn tanh(numbers: Lanes) -> Lanes {
    exp(numbers.map(|number| 2.0 * number)).map(|power| 1.0 - 2.0 / (1.0 + power))
}

/// The first eight terms of the exponential's series.
#[inline]
fn series(x: f32) -> f32 {
    let [second, third, fourth, fifth, sixth, seventh] =
        [1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];
    1.0 + x
        * (1.0
            + x * (second + x * (third + x * (fourth + x * (fifth + x * (sixth + x * seventh))))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_agree_with_the_library() {
        for step in -8600_i16..8600 {
            let number = f32::from(step) / 100.0;
            let wanted = number.exp();
            assert!((exp([number; PANEL])[0] - wanted).abs() <= wanted * 1e-5, "exp({number})");
            assert!((tanh([number; PANEL])[0] - number.tanh()).abs() < 1e-6, "tanh({number})");
        }
    }

    #[test]
    fn extreme_arguments_give_finite_results() {
        let ends = [f32::NEG_INFINITY, -1e9, -87.0, 0.0, 87.0, 1e9, f32::INFINITY, f32::NAN];
        assert!(exp(ends).iter().all(|power| power.is_finite()));
        assert_eq!(tanh(ends)[..2], [-1.0, -1.0]);
        assert_eq!(sigmoid(ends)[5..7], [1.0, 1.0]);
    }
}
