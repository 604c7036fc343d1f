//! A reader of weight files: little-endian 32-bit numbers, one after another.

/// A reader over the bytes of a weight file.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Makes a reader of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns the next integer; `None` at the end of the file.
    pub fn integer(&mut self) -> Option<u32> {
        self.numbers(1)?.next().map(u32::from_le_bytes)
    }

    /// Returns the next `count` integers.
    pub fn integers(&mut self, count: usize) -> Option<Vec<u32>> {
        Some(self.numbers(count)?.map(u32::from_le_bytes).collect())
    }

    /// Returns the next matrix, row by row.
    pub fn floats(&mut self, rows: usize, width: usize) -> Option<Vec<f32>> {
        Some(self.numbers(rows.checked_mul(width)?)?.map(f32::from_le_bytes).collect())
    }

    /// Returns true if everything has been read.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn numbers(&mut self, count: usize) -> Option<impl Iterator<Item = [u8; 4]> + use<'a>> {
        let (numbers, rest) = self.rest.split_at_checked(count.checked_mul(4)?)?;
        self.rest = rest;
        Some(numbers.as_chunks().0.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::Reader;

    #[test]
    fn numbers_are_read_in_order_to_the_end() {
        let bytes =
            [&2_u32.to_le_bytes()[..], &1.5_f32.to_le_bytes(), &(-2.0_f32).to_le_bytes()].concat();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.integer(), Some(2));
        assert!(!reader.is_at_end());
        assert_eq!(reader.floats(3, 1), None, "it ends before");
        assert_eq!(reader.floats(usize::MAX, 2), None, "there are no so many");
        assert_eq!(reader.floats(1, 2), Some(vec![1.5, -2.0]));
        assert!(reader.is_at_end() && reader.integer().is_none());
    }
}
