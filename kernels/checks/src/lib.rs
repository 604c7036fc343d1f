//! Reference implementations of the operations: in `f64`, and straight from their definitions.

pub mod fuzzing;
pub mod threads;

use std::ops::ControlFlow;

use wardian_kernels::{Activation, Bias, Conv2d, Matmul, Right, Strides};

/// The most checkpoints of a run of an arbitrary description. Strides of 0 describe a product of
/// any length in a few numbers.
const MOST_CHECKPOINTS: u32 = 8;

/// Returns a checkpoint that breaks when the run has lasted long enough for a test.
pub fn stop_soon() -> impl FnMut() -> ControlFlow<()> {
    let mut left = MOST_CHECKPOINTS;
    move || {
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Returns reproducible numbers between -1 and 1.
pub fn random_floats(count: usize, seed: u64) -> Vec<f32> {
    random_words(count, seed).map(|word| (word >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// Returns reproducible bytes.
pub fn random_bytes(count: usize, seed: u64) -> Vec<u8> {
    random_words(count, seed).map(|word| (word >> 56) as u8).collect()
}

fn random_words(count: usize, seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
    std::iter::repeat_with(move || {
        // xorshift
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    })
    .take(count)
}

/// Returns the length of a slice that holds matrices of that shape.
pub fn extent(strides: Strides, [batch, rows, columns]: [u32; 3]) -> usize {
    index_of(strides, batch - 1, rows - 1, columns - 1) + 1
}

fn index_of(strides: Strides, batch: u32, row: u32, column: u32) -> usize {
    batch as usize * strides.batch as usize
        + row as usize * strides.row as usize
        + column as usize * strides.column as usize
}

/// Returns the value of an activation.
pub fn activate(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::None => x,
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu(slope) => {
            if x < 0.0 {
                f64::from(slope) * x
            } else {
                x
            }
        }
        Activation::Clip(low, high) => x.max(low.into()).min(high.into()),
        Activation::Sigmoid => sigmoid(x),
        Activation::Tanh => x.tanh(),
        Activation::Silu => x * sigmoid(x),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / 2.0_f64.sqrt())),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
    }
}

/// The error function by its series, or by a continued fraction where that converges faster.
fn erf(x: f64) -> f64 {
    if x.abs() > 3.0 {
        let square = x * x;
        let fraction = (1..60).rev().fold(0.0, |rest, k| k as f64 / 2.0 / (x.abs() + rest));
        let rest = (-square).exp() / std::f64::consts::PI.sqrt() / (x.abs() + fraction);
        return (1.0 - rest).copysign(x);
    }

    let mut term = x;
    let mut sum = x;
    for n in 1..80 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

/// An exact sum, with the sum of the magnitudes of its terms, which bounds the rounding error of
/// the same sum in `f32`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// The value.
    pub value: f64,
    /// The sum of magnitudes.
    pub magnitude: f64,
}

impl Expected {
    fn add(&mut self, value: f64) {
        self.value += value;
        self.magnitude += value.abs();
    }

    /// Returns the activation of the value. None of them is steeper than about 1.2, or the slope of
    /// a leaky one.
    fn activated(self, activation: Activation) -> Self {
        Expected { value: activate(activation, self.value), magnitude: self.magnitude + 1.0 }
    }

    /// True if `actual` differs by no more than the rounding of a sum of `terms` numbers.
    pub fn is_near(self, actual: f32, terms: usize) -> bool {
        let rounding = f64::from(f32::EPSILON) * (4.0 + terms as f64) * self.magnitude.max(1e-30);
        (f64::from(actual) - self.value).abs() <= rounding * 2.0
    }
}

/// Computes the elements of a product. Gaps between the rows of the output are `None`.
pub fn matmul(
    operation: &Matmul,
    left: &[f32],
    right: &[f32],
    right_strides: Strides,
    bias: &[f32],
    residual: &[f32],
) -> Vec<Option<Expected>> {
    let Matmul { batch, rows, inner, columns, .. } = *operation;
    let mut output = vec![None; extent(operation.output, [batch, rows, columns])];
    let right_batch = if operation.right == Right::Packed { 0 } else { 1 };

    for b in 0..batch {
        for i in 0..rows {
            for j in 0..columns {
                let mut sum = Expected::default();
                for k in 0..inner {
                    let left = left[index_of(operation.left, b, i, k)];
                    let right = right[index_of(right_strides, b * right_batch, k, j)];
                    sum.add(f64::from(operation.scale) * f64::from(left) * f64::from(right));
                }

                match operation.bias {
                    Bias::None => {}
                    Bias::Columns => sum.add(bias[j as usize].into()),
                    Bias::Rows => sum.add(bias[i as usize].into()),
                }

                let at = index_of(operation.output, b, i, j);
                if operation.residual {
                    sum.add(residual[at].into());
                }
                output[at] = Some(sum.activated(operation.activation));
            }
        }
    }

    output
}

/// Computes the elements of a convolution.
pub fn conv2d(
    operation: &Conv2d,
    output: [u32; 2],
    input: &[f32],
    filters: &[f32],
    bias: &[f32],
    residual: &[f32],
) -> Vec<Expected> {
    let index = |sizes: [u32; 4], [n, c, h, w]: [u32; 4]| {
        (((n * sizes[1] + c) * sizes[2] + h) * sizes[3] + w) as usize
    };
    let Conv2d { batch, input_channels, output_channels, groups, .. } = *operation;
    let [height, width] = operation.input;
    let [inputs, outputs] = [input_channels / groups, output_channels / groups];
    let [kernel_height, kernel_width] = operation.kernel;
    let mut result = Vec::new();

    for n in 0..batch {
        for channel in 0..output_channels {
            for y in 0..output[0] {
                for x in 0..output[1] {
                    let mut sum = Expected::default();
                    for c in 0..inputs {
                        for ky in 0..kernel_height {
                            for kx in 0..kernel_width {
                                let from = |place: u32, axis: usize, k: u32| {
                                    (place * operation.strides[axis]
                                        + k * operation.dilations[axis])
                                        .checked_sub(operation.pads[axis])
                                        .filter(|place| *place < operation.input[axis])
                                };
                                let (Some(iy), Some(ix)) = (from(y, 0, ky), from(x, 1, kx)) else {
                                    continue;
                                };
                                let from = channel / outputs * inputs + c;
                                let at =
                                    index([0, input_channels, height, width], [n, from, iy, ix]);
                                let weight = index(
                                    [0, inputs, kernel_height, kernel_width],
                                    [channel, c, ky, kx],
                                );
                                sum.add(f64::from(input[at]) * f64::from(filters[weight]));
                            }
                        }
                    }

                    if operation.bias {
                        sum.add(bias[channel as usize].into());
                    }
                    if operation.residual {
                        sum.add(residual[result.len()].into());
                    }
                    result.push(sum.activated(operation.activation));
                }
            }
        }
    }

    result
}
