//! Probabilities of classes, given those of each pair of them.

/// The rounds after which the estimates are taken as they are.
const ROUNDS: usize = 100;

/// Returns the probabilities of `classes` classes that agree best with `pairs`, where element
/// `i * classes + j` is the probability of class i if it is one of i and j (Wu, Lin and Weng 2004,
/// their second method).
pub(super) fn probabilities(pairs: &[f32], classes: usize) -> Vec<f32> {
    let quadratic = quadratic(pairs, classes);
    let tolerance = 0.005 / classes as f32;
    let mut estimate = vec![1.0 / classes as f32; classes];
    for _ in 0..ROUNDS.max(classes) {
        let mut products: Vec<f32> = quadratic
            .chunks_exact(classes)
            .map(|row| row.iter().zip(&estimate).map(|(q, p)| q * p).sum())
            .collect();
        let mut total: f32 = products.iter().zip(&estimate).map(|(q, p)| q * p).sum();
        let error = products.iter().map(|product| (product - total).abs()).fold(0.0, f32::max);
        if error < tolerance {
            break;
        }
        for (class, row) in quadratic.chunks_exact(classes).enumerate() {
            let step = (total - products[class]) / row[class];
            estimate[class] += step;
            let scale = 1.0 + step;
            total = (total + step * (step * row[class] + 2.0 * products[class])) / scale / scale;
            for (product, q) in products.iter_mut().zip(row) {
                *product = (*product + step * q) / scale;
            }
            estimate.iter_mut().for_each(|p| *p /= scale);
        }
    }
    estimate
}

fn quadratic(pairs: &[f32], classes: usize) -> Vec<f32> {
    let pair = |i: usize, j: usize| pairs[i * classes + j];
    let mut quadratic = vec![0.0; classes * classes];
    for i in 0..classes {
        for j in (0..classes).filter(|j| *j != i) {
            quadratic[i * classes + i] += pair(j, i) * pair(j, i);
            quadratic[i * classes + j] = -pair(j, i) * pair(i, j);
        }
    }
    quadratic
}
