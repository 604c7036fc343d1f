//! The places of a matrix's elements.

use crate::Error;

/// The distances between elements, in elements. That of batch `b`, row `i` and column `j` is at
/// `b * batch + i * row + j * column`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strides {
    /// Between two matrices of a batch.
    pub batch: u32,
    /// Between two rows.
    pub row: u32,
    /// Between two columns.
    pub column: u32,
}

/// The number of matrices, of rows and of columns.
pub(crate) type Shape = [u64; 3];

impl Strides {
    /// Rows in order, one matrix after the other. Sizes whose product exceeds 32 bits are refused
    /// later, when there is no slice of that length.
    pub const fn dense(rows: u32, columns: u32) -> Self {
        Strides { batch: rows.saturating_mul(columns), row: columns, column: 1 }
    }

    /// A matrix of that many rows and columns whose columns are in order, as the rows of its
    /// transpose are.
    pub const fn transposed(rows: u32, columns: u32) -> Self {
        Strides { batch: rows.saturating_mul(columns), row: 1, column: rows }
    }

    fn numbers(self) -> [u64; 3] {
        [self.batch, self.row, self.column].map(u64::from)
    }

    /// Returns the number of elements up to the last one. No size may be 0.
    pub(crate) fn extent(self, shape: Shape, name: &'static str) -> Result<u64, Error> {
        let last = shape.iter().zip(self.numbers()).try_fold(0_u64, |last, (size, stride)| {
            last.checked_add(size.checked_sub(1)?.checked_mul(stride)?)
        });
        last.and_then(|last| last.checked_add(1)).ok_or(Error::TooLarge(name))
    }

    /// Fails unless rows are in one piece and no two elements share a place.
    pub(crate) fn check_output(self, shape: Shape) -> Result<(), Error> {
        if shape[2] > 1 && self.column != 1 {
            return Err(Error::Misfit("the columns of the output are not side by side"));
        }

        let [batch, row, column] = self.numbers();
        let mut sizes = [(batch, shape[0]), (row, shape[1]), (column, shape[2])];
        sizes.sort_unstable();

        let mut extent = 1_u64;
        for (stride, size) in sizes.into_iter().filter(|(_, size)| *size > 1) {
            if stride < extent {
                return Err(Error::OutputOverlaps);
            }
            extent = (size - 1)
                .checked_mul(stride)
                .and_then(|last| last.checked_add(extent))
                .ok_or(Error::TooLarge("the output"))?;
        }

        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extent_of_a_dense_matrix_is_its_size() {
        assert_eq!(Strides::dense(3, 4).extent([2, 3, 4], ""), Ok(24));
        assert_eq!(Strides::transposed(3, 4).extent([2, 3, 4], ""), Ok(24));
        let large = Strides { batch: u32::MAX, row: u32::MAX, column: u32::MAX };
        assert_eq!(large.extent([1 << 32, 1 << 32, 1 << 32], "it"), Err(Error::TooLarge("it")));
    }

    #[test]
    fn outputs_that_overlap_are_refused() {
        let check = |batch, row, column| Strides { batch, row, column }.check_output([2, 3, 4]);
        assert_eq!(check(12, 4, 1), Ok(()));
        assert_eq!(check(4, 8, 1), Ok(()), "the matrices are interleaved");
        assert_eq!(check(12, 3, 1), Err(Error::OutputOverlaps));
        assert_eq!(check(11, 4, 1), Err(Error::OutputOverlaps));
        assert_eq!(check(0, 4, 1), Err(Error::OutputOverlaps));
        assert!(check(24, 8, 2).is_err());
    }
}
