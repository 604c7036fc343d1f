//! A finite automaton that reads a text byte by byte and returns the n-grams that end at each byte.

use crate::numbers::{Reader, index};

const BYTES: usize = 256;

/// The states; the first is the start of every text.
pub(crate) struct Automaton<'a> {
    /// The target of a byte unless the row has its own.
    usual: &'a [[u8; 2]],
    rows: &'a [[u8; ROW]],
    /// The moves of all rows in order that differ from the common ones.
    moves: &'a [[u8; 2]],
    /// The row and the first output of each state; the outputs end where the next state's begin.
    states: &'a [[u8; 4]],
    outputs: &'a [[u8; 2]],
}

/// Bytes of a row: 256 bits, and the index of its first move.
const ROW: usize = BYTES / 8 + 4;

impl<'a> Automaton<'a> {
    pub(crate) fn parse(
        reader: &mut Reader<'a>,
        states: usize,
        rows: usize,
        moves: usize,
        outputs: usize,
    ) -> Option<Self> {
        Some(Self {
            usual: reader.table(BYTES)?,
            rows: reader.table(rows)?,
            moves: reader.table(moves)?,
            states: reader.table(states.checked_add(1)?)?,
            outputs: reader.table(outputs)?,
        })
    }

    /// Calls `seen` with every feature of the text, as often as it occurs.
    pub(crate) fn walk(&self, text: &[u8], mut seen: impl FnMut(usize)) {
        let mut state = 0;
        for byte in text {
            state = self.next(state, usize::from(*byte));
            self.outputs(state).iter().for_each(|feature| seen(index(*feature)));
        }
    }

    fn next(&self, state: usize, byte: usize) -> usize {
        let row = &self.rows[self.row_and_output(state).0];
        let place = unusual_before(row, byte);
        index(place.map_or(self.usual[byte], |place| self.moves[place]))
    }

    fn outputs(&self, state: usize) -> &[[u8; 2]] {
        let (_, start) = self.row_and_output(state);
        let (_, end) = self.row_and_output(state + 1);
        &self.outputs[start..end]
    }

    fn row_and_output(&self, state: usize) -> (usize, usize) {
        let [row, row_high, output, output_high] = self.states[state];
        (index([row, row_high]), index([output, output_high]))
    }
}

/// Returns the index of the row's own move for the byte among all moves, if it has one: after its
/// own moves for all smaller bytes, which are the bits set below.
fn unusual_before(row: &[u8; ROW], byte: usize) -> Option<usize> {
    let (words, rest) = row.as_chunks::<8>();
    let (word, bit) = (byte / 64, byte % 64);
    let here = u64::from_le_bytes(words[word]);
    if here >> bit & 1 == 0 {
        return None;
    }
    let words_below = words[..word].iter().map(|word| u64::from_le_bytes(*word).count_ones());
    let below = words_below.sum::<u32>() + (here & ((1 << bit) - 1)).count_ones();
    let first = rest.first_chunk().map_or(0, |first| u32::from_le_bytes(*first));
    Some((first + below) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_counted_across_words() {
        let mut row = [0; ROW];
        for byte in [0, 63, 64, 200, 255] {
            row[byte / 8] |= 1 << (byte % 8);
        }
        row[ROW - 4] = 10;
        let places = [0, 1, 63, 64, 65, 200, 255].map(|byte| unusual_before(&row, byte));
        assert_eq!(places, [Some(10), None, Some(11), Some(12), None, Some(13), Some(14)]);
    }
}
