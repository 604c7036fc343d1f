//! A row as the walk reads it: one column for each way in which the splits look at a feature.

use std::collections::BTreeMap;

use super::{Missing, Number};

/// A feature in the form in which a split compares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Column {
    pub(super) feature: u32,
    /// Changes the sign, which turns "NaN is above" into "NaN is below".
    pub(super) negated: bool,
    pub(super) replaced: Replaced,
}

/// The values of a feature that are replaced before it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Replaced {
    Nothing,
    /// NaN becomes zero.
    NanByZero,
    /// All that counts as zero becomes NaN.
    ZeroByNan,
}

/// The columns that an ensemble's splits need, after some that hold minus infinity in every row,
/// which leaves compare.
#[derive(Debug)]
pub(super) struct Columns {
    constants: usize,
    columns: Vec<Column>,
    numbers: BTreeMap<Column, u32>,
}

// === impl Column ===

impl Column {
    fn view<T: Number>(self, row: &[T]) -> T {
        let value = row.get(self.feature as usize).copied().unwrap_or(T::NAN);
        let value = match self.replaced {
            Replaced::NanByZero if value.is_nan() => T::default(),
            Replaced::ZeroByNan if value.widen().abs() <= Missing::ZERO => T::NAN,
            _ => value,
        };
        if self.negated { -value } else { value }
    }
}

// === impl Columns ===

impl Columns {
    /// Starts with so many constant columns, of which there is at least one.
    pub(super) fn new(constants: usize) -> Self {
        Self { constants, columns: Vec::new(), numbers: BTreeMap::new() }
    }

    /// Returns the number of constant columns.
    pub(super) fn constants(&self) -> usize {
        self.constants
    }

    /// Returns the number of a column, which is added if there is none like it.
    pub(super) fn number(&mut self, column: Column) -> u32 {
        *self.numbers.entry(column).or_insert_with(|| {
            self.columns.push(column);
            (self.constants + self.columns.len() - 1) as u32
        })
    }

    /// Copies the columns, once all are there, to where they stay.
    pub(super) fn kept(&self) -> Self {
        let columns = self.columns.clone();
        Self { constants: self.constants, columns, numbers: BTreeMap::new() }
    }

    /// Returns the number of columns, the constant ones among them.
    pub(super) fn len(&self) -> usize {
        self.constants + self.columns.len()
    }

    /// Writes the columns of a row to `prepared`, which is as long as they are many.
    pub(super) fn prepare<T: Number>(&self, row: &[T], prepared: &mut [T]) {
        let Some((lowest, prepared)) = prepared.split_at_mut_checked(self.constants) else {
            return;
        };
        lowest.fill(T::NEG_INFINITY);
        for (place, column) in prepared.iter_mut().zip(&self.columns) {
            *place = column.view(row);
        }
    }
}
