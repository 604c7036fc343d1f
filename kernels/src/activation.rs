//! Functions that are applied to every element of a result.

use crate::InstructionSet;
use crate::functions::{gelu, gelu_tanh, sigmoid, tanh};
use crate::simd::Loop;

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

    /// Applies the function to every number, with the best instruction set.
    pub fn apply(self, values: &mut [f32]) {
        self.apply_with(InstructionSet::best(), values);
    }

    /// [`Activation::apply`] with a given instruction set.
    pub(crate) fn apply_with(self, set: InstructionSet, values: &mut [f32]) {
        if self != Activation::None {
            set.compiled(Applied { activation: self, values });
        }
    }

    /// True if the function is neither a bound nor the number itself.
    pub(crate) fn is_curve(self) -> bool {
        !matches!(self, Activation::None | Activation::Relu | Activation::Clip(..))
    }
}

/// A function and the numbers to which it is applied.
struct Applied<'a> {
    activation: Activation,
    values: &'a mut [f32],
}

#[expect(clippy::redundant_closure, reason = "a function that is given by name is not inlined")]
impl Loop for Applied<'_> {
    #[inline(always)]
    fn run(self) {
        let Applied { activation, values } = self;
        match activation {
            Activation::None => {}
            Activation::Relu => map(values, |x| if x < 0.0 { 0.0 } else { x }),
            Activation::LeakyRelu(slope) => map(values, |x| if x < 0.0 { slope * x } else { x }),
            Activation::Clip(low, high) => map(values, |x| {
                let x = if x < low { low } else { x };
                if x > high { high } else { x }
            }),
            Activation::Sigmoid => map(values, |x| sigmoid(x)),
            Activation::Tanh => map(values, |x| tanh(x)),
            Activation::Silu => map(values, |x| x * sigmoid(x)),
            Activation::Gelu => map(values, |x| gelu(x)),
            Activation::GeluTanh => map(values, |x| gelu_tanh(x)),
            Activation::HardSwish => map(values, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        }
    }
}

// A loop of its own: `for_each` is a function that may not be inlined, and then has only the
// instructions that every processor has.
#[inline(always)]
fn map(values: &mut [f32], function: impl Fn(f32) -> f32) {
    for value in values {
        *value = function(*value);
    }
}
