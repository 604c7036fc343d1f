//! Naive Bayes: the probability of each language, given the number of occurrences of each feature.

use std::str::from_utf8;

use wardian_sdk::kernels::LANES;

use crate::numbers::Reader;

/// The logarithms of all probabilities.
pub(crate) struct Bayes<'a> {
    languages: Vec<&'a str>,
    priors: &'a [[u8; 4]],
    /// One row for each feature, with one number for each language.
    likelihoods: &'a [[u8; 4]],
}

/// The number of occurrences of each feature in a text. One value serves all texts of a batch.
pub(crate) struct Counts {
    counts: Vec<u16>,
    /// The features that occur, so that the others need not be visited.
    seen: Vec<u16>,
}

// === impl Bayes ===

impl<'a> Bayes<'a> {
    pub(crate) fn parse(
        reader: &mut Reader<'a>,
        languages: usize,
        features: usize,
    ) -> Option<Self> {
        let codes: &[[u8; 2]] = reader.table(languages)?;
        Some(Self {
            languages: codes.iter().map(|code| from_utf8(code).ok()).collect::<Option<_>>()?,
            priors: reader.table(languages)?,
            likelihoods: reader.table(languages.checked_mul(features)?)?,
        })
    }

    pub(crate) fn languages(&self) -> &[&'a str] {
        &self.languages
    }

    /// Returns empty counts.
    pub(crate) fn counts(&self) -> Counts {
        let features = self.likelihoods.len().checked_div(self.priors.len()).unwrap_or(0);
        Counts { counts: vec![0; features], seen: Vec::new() }
    }

    /// Returns the likeliest language and its probability. Resets all counts to 0.
    pub(crate) fn likeliest(&self, counts: &mut Counts) -> (&'a str, f32) {
        let scores = self.scores(counts);
        let (mut best, mut greatest) = ("", f32::NEG_INFINITY);
        for (language, score) in self.languages.iter().zip(&scores) {
            // Of equal scores the first wins, as in the original.
            if *score > greatest {
                (best, greatest) = (language, *score);
            }
        }
        let sum: f32 = scores.iter().map(|score| (score - greatest).exp()).sum();
        (best, 1.0 / sum)
    }

    fn scores(&self, counts: &mut Counts) -> Vec<f32> {
        let mut scores: Vec<f32> =
            self.priors.iter().map(|prior| f32::from_le_bytes(*prior)).collect();
        let width = scores.len();
        counts.drain(|feature, count| {
            let row = &self.likelihoods[feature * width..][..width];
            add_row(f32::from(count), row, &mut scores);
        });
        scores
    }
}

/// The kernel `axpy`, for a row whose numbers are still bytes.
fn add_row(count: f32, row: &[[u8; 4]], scores: &mut [f32]) {
    let (row, row_rest) = row.as_chunks::<LANES>();
    let (scores, scores_rest) = scores.as_chunks_mut::<LANES>();
    for (row, scores) in row.iter().zip(scores) {
        for lane in 0..LANES {
            scores[lane] += count * f32::from_le_bytes(row[lane]);
        }
    }
    for (number, score) in row_rest.iter().zip(scores_rest) {
        *score += count * f32::from_le_bytes(*number);
    }
}

// === impl Counts ===

impl Counts {
    /// Increments a count. It saturates; the original fails there.
    pub(crate) fn add(&mut self, feature: usize) {
        let count = &mut self.counts[feature];
        if *count == 0 {
            self.seen.push(feature as u16);
        }
        *count = count.saturating_add(1);
    }

    fn drain(&mut self, mut take: impl FnMut(usize, u16)) {
        for feature in self.seen.drain(..).map(usize::from) {
            take(feature, std::mem::take(&mut self.counts[feature]));
        }
    }
}
