//! Tables of little-endian numbers, read in place.
//!
//! The tables are a hundred times larger than the part that one text needs. Decoding all of them in
//! `load` would put a second copy into the snapshot; decoding a number when it is read costs
//! nothing.

/// Splits the file into its tables.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns the next `u32`s, each of which is a size.
    pub(crate) fn sizes<const COUNT: usize>(&mut self) -> Option<[usize; COUNT]> {
        let numbers = self.table::<4>(COUNT)?;
        let sizes = numbers.iter().map(|number| u32::from_le_bytes(*number) as usize);
        sizes.collect::<Vec<_>>().try_into().ok()
    }

    /// Returns the next `count` entries of `N` bytes each.
    pub(crate) fn table<const N: usize>(&mut self, count: usize) -> Option<&'a [[u8; N]]> {
        let (table, rest) = self.rest.split_at_checked(count.checked_mul(N)?)?;
        self.rest = rest;
        Some(table.as_chunks().0)
    }
}

/// Returns two bytes of a table as an index.
pub(crate) fn index(bytes: [u8; 2]) -> usize {
    usize::from(u16::from_le_bytes(bytes))
}
