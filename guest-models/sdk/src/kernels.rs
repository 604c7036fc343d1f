//! Arithmetic on slices: small loops, and large operations that the host computes.
//!
//! # Loops
//! At every iteration of a loop the host checks whether the call has run out of time. In a scalar
//! loop that check costs more than half as much as the work. These kernels process [`LANES`]
//! elements in one iteration with as many independent sums, which the compiler turns into four
//! 128-bit SIMD instructions. The order of additions differs from a plain loop's, so the last bits
//! of a sum may differ too.

#[cfg(target_family = "wasm")]
mod imported;
mod operations;
pub mod panels;

pub use operations::*;

/// Elements in one iteration of a loop.
pub const LANES: usize = 16;

/// Returns the sum of the products of corresponding elements; the longer slice's excess is ignored.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let length = a.len().min(b.len());
    let (a, a_rest) = a[..length].as_chunks::<LANES>();
    let (b, b_rest) = b[..length].as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Adds `alpha` times each element of `x` to the corresponding one of `y`; the longer slice's
/// excess is left alone.
pub fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) {
    let length = x.len().min(y.len());
    let (x, x_rest) = x[..length].as_chunks::<LANES>();
    let (y, y_rest) = y[..length].as_chunks_mut::<LANES>();
    for (x, y) in x.iter().zip(y) {
        for lane in 0..LANES {
            y[lane] += alpha * x[lane];
        }
    }
    for (x, y) in x_rest.iter().zip(y_rest) {
        *y += alpha * x;
    }
}

/// Turns scores into probabilities: each is positive, and their sum is 1.
pub fn softmax(scores: &mut [f32]) {
    // Subtracts the greatest score, so that no exponential overflows.
    let greatest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - greatest).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}

#[cfg(test)]
mod tests {
    use super::{axpy, dot, softmax};

    #[test]
    fn large_scores_become_probabilities() {
        let mut scores = [1000.0, 1000.0, f32::NEG_INFINITY];
        softmax(&mut scores);
        assert_eq!(scores, [0.5, 0.5, 0.0]);
    }

    // Small integers, so that every order of additions gives the same sum.
    fn ramp(length: usize) -> Vec<f32> {
        (0..length).map(|value| (value % 7) as f32).collect()
    }

    #[test]
    fn dot_agrees_with_a_plain_loop_at_every_length() {
        for length in 0..70 {
            let (a, b) = (ramp(length), ramp(length + 3));
            let plain: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert_eq!(dot(&a, &b), plain, "length {length}");
        }
    }

    #[test]
    fn axpy_agrees_with_a_plain_loop_at_every_length() {
        for length in 0..70 {
            let mut y = vec![1.0; length];
            axpy(2.0, &ramp(length), &mut y);
            let plain: Vec<f32> = ramp(length).iter().map(|x| 1.0 + 2.0 * x).collect();
            assert_eq!(y, plain, "length {length}");
        }
    }
}
