//! Functions of one `f32`, without branches, so that the compiler can use SIMD instructions for a
//! loop of them. What is not a number stays so.

/// Coefficients of 2^x on [-1/2, 1/2], from the constant upwards.
const EXP2: [f32; 7] = [
    1.0,
    std::f32::consts::LN_2,
    0.240_226_5,
    0.055_504_11,
    0.009_618_13,
    0.001_333_355_8,
    0.000_154_035_3,
];

/// Returns the exponential, within 3e-7 of it. It is 0 and infinite where that of an `f32` is.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Beyond these bounds it is 0 and infinite. Comparisons keep what is not a number.
    let x = if x < -104.0 { -104.0 } else { x };
    let x = if x > 89.0 { 89.0 } else { x };

    // Adding and subtracting 1.5 * 2^23 rounds to an integer.
    const ROUND: f32 = 12_582_912.0;
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let integer = rounded - ROUND;

    // x - integer * ln 2, with ln 2 in two parts.
    let rest = x - integer * 0.693_359_4 + integer * 2.121_944_4e-4;
    let fraction = rest * std::f32::consts::LOG2_E;
    let power = EXP2.iter().rev().fold(0.0, |sum, factor| sum * fraction + factor);

    // The low bits of `rounded` are the integer. Its halves are exponents of two factors, as the
    // whole may be beyond those of normal numbers.
    let integer = rounded.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = integer >> 1;
    power * power_of_two(half) * power_of_two(integer.wrapping_sub(half))
}

/// Returns 2 to an exponent of a normal number.
#[inline(always)]
fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits((exponent.wrapping_add(127) << 23) as u32)
}

/// Returns 1 / (1 + exp(-x)).
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Returns the hyperbolic tangent, within 3e-7.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    // Near 0 the difference below would lose digits: the start of the series instead.
    let square = x * x;
    let series = x
        * (1.0
            + square
                * (-1.0 / 3.0
                    + square * (2.0 / 15.0 + square * (-17.0 / 315.0 + square * (62.0 / 2835.0)))));
    let curve = 1.0 - 2.0 / (exp(2.0 * x) + 1.0);
    if square < 0.0625 { series } else { curve }
}

/// Returns the error function, within 3e-7.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    // Abramowitz and Stegun, 7.1.26.
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let sum = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_8) * t - 0.284_496_74) * t
        + 0.254_829_6)
        * t;
    let curve = (1.0 - sum * exp(-size * size)).copysign(x);

    // Near 0 the difference would lose digits: the start of the series instead.
    let square = x * x;
    let series = x
        * std::f32::consts::FRAC_2_SQRT_PI
        * (1.0
            + square
                * (-1.0 / 3.0 + square * (0.1 + square * (-1.0 / 42.0 + square * (1.0 / 216.0)))));
    if square < 0.0625 { series } else { curve }
}

/// Returns x times the normal distribution at x.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// Returns [`gelu`], approximated by a hyperbolic tangent.
#[inline(always)]
pub fn gelu_tanh(x: f32) -> f32 {
    // 2 times the square root of 2 / pi: a hyperbolic tangent is a sigmoid of twice its argument.
    const SCALE: f32 = 1.595_769;
    x * sigmoid(SCALE * (x + 0.044_715 * x * x * x))
}
