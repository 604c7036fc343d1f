//! Functions that are applied to every element of a result.

/// A function of one number. What is not a number stays so.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// The number itself.
    #[default]
    None,
    /// 0 for what is negative.
    Relu,
    /// The slope times what is negative.
    LeakyRelu(f32),
    /// At least the first number and at most the second.
    Clip(f32, f32),
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// x times its sigmoid.
    Silu,
    /// x times the normal distribution at x.
    Gelu,
    /// [`Activation::Gelu`], approximated by a hyperbolic tangent.
    GeluTanh,
    /// x * clip(x / 6 + 1/2, 0, 1).
    HardSwish,
}

impl Activation {
    /// Returns the bounds if the function is a bound.
    pub(crate) fn clamp(self) -> Option<(f32, f32)> {
        match self {
            Activation::Relu => Some((0.0, f32::INFINITY)),
            Activation::Clip(low, high) => Some((low, high)),
            _ => None,
        }
    }

    /// Applies a function that is a bound.
    pub(crate) fn bound(self, values: &mut [f32]) {
        if let Some((low, high)) = self.clamp() {
            map(values, |x| {
                let x = if x < low { low } else { x };
                if x > high { high } else { x }
            });
        }
    }

    /// Applies a function that is more than a bound.
    pub(crate) fn apply(self, values: &mut [f32]) {
        match self {
            Activation::None | Activation::Relu | Activation::Clip(..) => {}
            Activation::LeakyRelu(slope) => {
                map(values, |x| if x < 0.0 { slope * x } else { x });
            }
            Activation::Sigmoid => map(values, sigmoid),
            Activation::Tanh => map(values, tanh),
            Activation::Silu => map(values, |x| x * sigmoid(x)),
            Activation::Gelu => map(values, |x| 0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2))),
            Activation::GeluTanh => {
                map(values, |x| x * sigmoid(GELU_TANH_SCALE * (x + 0.044_715 * x * x * x)));
            }
            Activation::HardSwish => {
                map(values, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0));
            }
        }
    }

    /// True if [`Activation::apply`] does something.
    pub(crate) fn is_curve(self) -> bool {
        !matches!(self, Activation::None | Activation::Relu | Activation::Clip(..))
    }
}

const FRAC_1_SQRT_2: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// 2 times the square root of 2 / pi: a hyperbolic tangent is a sigmoid of twice its argument.
const GELU_TANH_SCALE: f32 = 1.595_769;

#[inline(always)]
fn map(values: &mut [f32], function: impl Fn(f32) -> f32) {
    values.iter_mut().for_each(|value| *value = function(*value));
}

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

/// Returns the exponential, within 3e-7 of it, of numbers from -87 to 87; beyond, that of the
/// nearest of them. It has no branches, so that the compiler can use SIMD instructions.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Comparisons keep what is not a number.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 87.0 { 87.0 } else { x };

    // Adding and subtracting 1.5 * 2^23 rounds to an integer.
    const ROUND: f32 = 12_582_912.0;
    let scaled = x * std::f32::consts::LOG2_E;
    let rounded = scaled + ROUND;
    let integer = rounded - ROUND;

    // x - integer * ln 2, with ln 2 in two parts.
    let rest = x - integer * 0.693_359_4 + integer * 2.121_944_4e-4;
    let fraction = rest * std::f32::consts::LOG2_E;
    let power = EXP2.iter().rev().fold(0.0, |sum, factor| sum * fraction + factor);

    // The low bits of `rounded` are the integer; they go into the exponent.
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    power * f32::from_bits(exponent)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
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

/// Returns the error function, within 2e-7.
#[inline(always)]
fn erf(x: f32) -> f32 {
    // Abramowitz and Stegun, 7.1.26.
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let sum = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_8) * t - 0.284_496_74) * t
        + 0.254_829_6)
        * t;
    let value = 1.0 - sum * exp(-size * size);
    value.copysign(x)
}
