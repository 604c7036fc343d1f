//! Sampling of the next code.

/// Parameters of the sampling.
#[derive(Clone, Copy)]
pub(crate) struct Sampling {
    /// 0 takes the likeliest code; 1 uses the probabilities; greater values favour unlikely codes.
    pub(crate) temperature: f64,
    /// The same seed gives the same codes.
    pub(crate) seed: u64,
}

/// The constant that the original adds to a probability before the logarithm.
const EPSILON: f64 = 1e-7;

/// The sampler of one text.
pub(crate) struct Sampler {
    temperature: f64,
    dice: Dice,
}

/// SplitMix64, a generator by S. Vigna.
struct Dice {
    state: u64,
}

// === impl Sampler ===

impl Sampler {
    pub(crate) fn new(sampling: Sampling) -> Self {
        Self { temperature: sampling.temperature, dice: Dice { state: sampling.seed } }
    }

    /// Returns the next code, drawn by probability. It is never 0, which is no character.
    pub(crate) fn choose(&mut self, probabilities: &[f32]) -> usize {
        let candidates = probabilities.get(1..).unwrap_or_default();
        let index =
            if self.temperature == 0.0 { likeliest(candidates) } else { self.draw(candidates) };
        index + 1
    }

    fn draw(&mut self, probabilities: &[f32]) -> usize {
        let mut sum = 0.0;
        let sums: Vec<f64> = probabilities
            .iter()
            .map(|probability| {
                sum += ((f64::from(*probability) + EPSILON).ln() / self.temperature).exp();
                sum
            })
            .collect();
        let drawn = self.dice.roll() * sum;
        sums.partition_point(|sum| *sum <= drawn).min(sums.len().saturating_sub(1))
    }
}

fn likeliest(probabilities: &[f32]) -> usize {
    let candidates = probabilities.iter().enumerate();
    candidates.max_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(index, _)| index)
}

// === impl Dice ===

impl Dice {
    /// Returns a number from 0 to below 1, with 53 random bits.
    fn roll(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(temperature: f64) -> [usize; 4] {
        let mut sampler = Sampler::new(Sampling { temperature, seed: 5 });
        let mut counts = [0; 4];
        (0..10_000).for_each(|_| counts[sampler.choose(&[0.4, 0.3, 0.1, 0.2])] += 1);
        counts
    }

    #[test]
    fn temperature_0_takes_the_likeliest() {
        assert_eq!(shares(0.0), [0, 10_000, 0, 0]);
    }

    #[test]
    fn temperature_1_follows_the_probabilities() {
        let [none, half, sixth, third] = shares(1.0);
        assert_eq!(none, 0, "no character is never drawn");
        assert!(
            half.abs_diff(5000) < 200 && sixth.abs_diff(1667) < 200 && third.abs_diff(3333) < 200
        );
    }

    #[test]
    fn high_temperature_flattens_the_distribution() {
        assert!(shares(0.2)[1] > shares(1.0)[1] && shares(1.0)[1] > shares(2.0)[1]);
    }
}
