//! An output that several threads write.

use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::bytes::Number;

/// A mutable slice that several threads write at the same time, each in an area of its own.
///
/// The areas are borrowed, and the borrows are checked while the program runs: of two that have an
/// element in common, the second one fails while the first one lasts.
pub(crate) struct SharedOutput<'a, T> {
    start: *mut T,
    len: usize,
    borrowed: Mutex<Borrowed>,
    slice: PhantomData<&'a mut [T]>,
}

/// Rows of elements side by side. The rows begin `row` elements apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) start: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row: usize,
}

/// The areas that are borrowed. One has its place, so that a single thread allocates nothing.
#[derive(Default)]
struct Borrowed {
    one: Option<Area>,
    others: Vec<Area>,
}

/// An area of an output, or of a slice.
pub(crate) struct Part<'a, T> {
    start: *mut T,
    area: Area,
    /// The list that the area leaves on drop. `None` if the slice itself is borrowed.
    borrowed: Option<&'a Mutex<Borrowed>>,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: parts have no element in common, so a reference to the output gives each thread what a
// mutable slice of its own would, and numbers can be sent.
unsafe impl<T: Number> Sync for SharedOutput<'_, T> {}
// SAFETY: it stands for a mutable slice of numbers, which can be sent.
unsafe impl<T: Number> Send for SharedOutput<'_, T> {}

impl<'a, T: Number> SharedOutput<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        SharedOutput {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            borrowed: Mutex::default(),
            slice: PhantomData,
        }
    }

    /// Borrows an area until the result is dropped.
    ///
    /// # Panics
    /// If it is not within the output, or has an element in common with one that is borrowed. Both
    /// are faults of this crate.
    pub(crate) fn borrow(&self, area: Area) -> Part<'_, T> {
        assert!(area.end().is_some_and(|end| end <= self.len), "an area is outside of its output");

        let mut borrowed = lock(&self.borrowed);
        assert!(!borrowed.overlaps(&area), "an area is borrowed twice");
        borrowed.add(area);
        drop(borrowed);

        // SAFETY: the start of the area is within the slice.
        let start = unsafe { self.start.add(area.start) };
        Part { start, area, borrowed: Some(&self.borrowed), slice: PhantomData }
    }
}

impl<'a, T: Number> Part<'a, T> {
    /// All rows of a slice, which begin `columns` elements apart.
    ///
    /// # Panics
    /// If the slice is too short.
    pub(crate) fn of_slice(slice: &'a mut [T], rows: usize, columns: usize) -> Self {
        let area = Area { start: 0, rows, columns, row: columns };
        assert!(area.end().is_some_and(|end| end <= slice.len()), "an area is outside of a slice");
        Part { start: slice.as_mut_ptr(), area, borrowed: None, slice: PhantomData }
    }

    pub(crate) fn rows(&self) -> usize {
        self.area.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.area.columns
    }

    /// Elements between the starts of two rows.
    pub(super) fn row_distance(&self) -> usize {
        self.area.row
    }

    pub(super) fn start(&mut self) -> *mut T {
        self.start
    }

    /// Returns a row.
    ///
    /// # Panics
    /// If there is no such row.
    pub(crate) fn row(&mut self, row: usize) -> &mut [T] {
        assert!(row < self.area.rows, "a part has no such row");
        // SAFETY: the row is within the area, which is within the slice and borrowed by this part
        // alone; and this part is borrowed as long as the row.
        unsafe {
            let start = self.start.add(row * self.area.row);
            std::slice::from_raw_parts_mut(start, self.area.columns)
        }
    }
}

impl<T> Drop for Part<'_, T> {
    fn drop(&mut self) {
        if let Some(borrowed) = self.borrowed {
            lock(borrowed).remove(&self.area);
        }
    }
}

impl Area {
    /// Elements in order.
    pub(crate) fn in_order(start: usize, count: usize) -> Self {
        Area { start, rows: 1, columns: count, row: count }
    }

    /// Returns the place after the last element; `None` if it cannot be computed, or if there is no
    /// element.
    fn end(&self) -> Option<usize> {
        let rows = self.rows.checked_sub(1)?.checked_mul(self.row)?;
        self.columns.checked_sub(1)?;
        self.start.checked_add(rows)?.checked_add(self.columns)
    }

    /// False if the areas have no element in common. Two that lie differently count as if they had,
    /// unless one ends where the other one starts or before.
    fn overlaps(&self, other: &Area) -> bool {
        let (Some(end), Some(other_end)) = (self.end(), other.end()) else { return true };
        if end <= other.start || other_end <= self.start {
            return false;
        }

        let row = self.row;
        if row == 0 || row != other.row {
            return true;
        }

        // Both are rectangles in rows of that length, unless their own rows go on in the next one.
        let [left, other_left] = [self.start % row, other.start % row];
        let [right, other_right] = [left + self.columns, other_left + other.columns];
        if right > row || other_right > row {
            return true;
        }
        left < other_right && other_left < right
    }
}

impl Borrowed {
    fn overlaps(&self, area: &Area) -> bool {
        self.one.iter().chain(&self.others).any(|other| other.overlaps(area))
    }

    fn add(&mut self, area: Area) {
        match &mut self.one {
            Some(_) => self.others.push(area),
            one => *one = Some(area),
        }
    }

    fn remove(&mut self, area: &Area) {
        if self.one == Some(*area) {
            self.one = None;
        } else {
            self.others.retain(|other| other != area);
        }
    }
}

/// The areas are complete at every moment, so a panic elsewhere does no harm.
fn lock(borrowed: &Mutex<Borrowed>) -> MutexGuard<'_, Borrowed> {
    borrowed.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn area(start: usize, rows: usize, columns: usize, row: usize) -> Area {
        Area { start, rows, columns, row }
    }

    #[test]
    fn areas_without_a_common_element_are_borrowed_at_the_same_time() {
        let mut numbers = [0_i32; 40];
        let output = SharedOutput::new(&mut numbers);
        let mut parts = [
            output.borrow(area(0, 2, 4, 10)),
            output.borrow(area(4, 2, 6, 10)),
            output.borrow(area(20, 2, 5, 10)),
            output.borrow(Area::in_order(35, 5)),
        ];
        for (part, number) in parts.iter_mut().zip(1..) {
            (0..part.rows()).for_each(|row| part.row(row).fill(number));
        }
        drop(parts);

        let rows: Vec<_> = numbers.chunks(10).collect();
        assert_eq!(rows[..2], [[1, 1, 1, 1, 2, 2, 2, 2, 2, 2]; 2]);
        assert_eq!(rows[2..], [[3, 3, 3, 3, 3, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 4, 4, 4, 4, 4]]);
    }

    #[test]
    fn an_element_is_borrowed_once() {
        let mut numbers = [0_f32; 40];
        let output = SharedOutput::new(&mut numbers);
        let refused = |area| catch_unwind(AssertUnwindSafe(|| drop(output.borrow(area)))).is_err();

        let part = output.borrow(area(12, 3, 5, 10));
        for common in [
            area(12, 3, 5, 10),
            area(32, 1, 1, 10),
            area(0, 2, 3, 10),
            area(0, 4, 10, 10),
            area(8, 2, 5, 10),
            area(0, 7, 1, 6),
            Area::in_order(16, 1),
        ] {
            assert!(refused(common), "{common:?}");
        }
        assert!(!refused(area(0, 4, 2, 10)) && !refused(area(17, 2, 3, 10)));

        drop(part);
        assert!(!refused(area(12, 3, 5, 10)));
    }

    #[test]
    fn an_area_outside_of_the_output_is_refused() {
        let mut numbers = [0_u8; 40];
        let output = SharedOutput::new(&mut numbers);
        for outside in [
            area(31, 1, 10, 0),
            area(0, 5, 1, 10),
            area(0, 0, 1, 10),
            area(0, 1, 0, 10),
            area(0, usize::MAX, 1, usize::MAX),
            area(usize::MAX, 1, 1, 1),
        ] {
            let refused = catch_unwind(AssertUnwindSafe(|| drop(output.borrow(outside))));
            assert!(refused.is_err(), "{outside:?}");
        }
    }
}
