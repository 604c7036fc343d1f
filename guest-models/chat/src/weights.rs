//! Reading `weights.bin`, whose format the head of export.py describes.

/// The file, from the front to the end.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next integer; nothing if the file ends before.
    pub(crate) fn integer(&mut self) -> Option<u32> {
        self.numbers(1)?.next().map(u32::from_le_bytes)
    }

    /// The next `count` integers.
    pub(crate) fn integers(&mut self, count: usize) -> Option<Vec<u32>> {
        Some(self.numbers(count)?.map(u32::from_le_bytes).collect())
    }

    /// The next matrix, row by row.
    pub(crate) fn floats(&mut self, rows: usize, width: usize) -> Option<Vec<f32>> {
        Some(self.numbers(rows.checked_mul(width)?)?.map(f32::from_le_bytes).collect())
    }

    fn numbers(&mut self, count: usize) -> Option<impl Iterator<Item = [u8; 4]> + use<'a>> {
        let (numbers, rest) = self.rest.split_at_checked(count.checked_mul(4)?)?;
        self.rest = rest;
        Some(numbers.as_chunks().0.iter().copied())
    }
}
