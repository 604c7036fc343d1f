//! Naive Bayes: how likely each language is, given how often each feature occurs.

use std::str::from_utf8;

use wardian_sdk::kernels::LANES;

use crate::numbers::Reader;

/// The logarithms of all probabilities.
pub(crate) struct Bayes<'a> {
    languages: Vec<&'a str>,
    priors: &'a [[u8; 4]],
    /// One row for each feature, of one number for each language.
    likelihoods: &'a [[u8; 4]],
}

/// How often each feature occurs in a text. One is enough for all texts of a batch.
pub(crate) struct Counts {
    counts: Vec<u16>,
    /// The features that do occur, so that nothing has to look for them.
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

    /// Of no feature yet.
    pub(crate) fn counts(&self) -> Counts {
        let features = self.likelihoods.len().checked_div(self.priors.len()).unwrap_or(0);
        Counts { counts: vec![0; features], seen: Vec::new() }
    }

    /// The likeliest language and how likely it is. All counts are 0 afterwards.
    pub(crate) fn likeliest(&self, counts: &mut Counts) -> (&'a str, f32) {
        let scores = self.scores(counts);
        let (mut best, mut greatest) = ("", f32::NEG_INFINITY);
        for (language, score) in self.languages.iter().zip(&scores) {
            // Of equals the first, as in the original.
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
    /// A count that would not fit stays at its greatest; the original fails there.
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
