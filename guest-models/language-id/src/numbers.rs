//! Tables of little-endian numbers, read where they lie.
//!
//! The tables are a hundred times larger than what one text needs of them. Decoding them all in
//! `load` would put a second copy into the snapshot; decoding a number as it is read costs nothing.

/// Cuts the file into its tables.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `u32`s, each the size of something.
    pub(crate) fn sizes<const COUNT: usize>(&mut self) -> Option<[usize; COUNT]> {
        let numbers = self.table::<4>(COUNT)?;
        let sizes = numbers.iter().map(|number| u32::from_le_bytes(*number) as usize);
        sizes.collect::<Vec<_>>().try_into().ok()
    }

    /// The next `count` entries of `N` bytes each.
    pub(crate) fn table<const N: usize>(&mut self, count: usize) -> Option<&'a [[u8; N]]> {
        let (table, rest) = self.rest.split_at_checked(count.checked_mul(N)?)?;
        self.rest = rest;
        Some(table.as_chunks().0)
    }
}

/// Two bytes of a table as an index.
pub(crate) fn index(bytes: [u8; 2]) -> usize {
    usize::from(u16::from_le_bytes(bytes))
}
