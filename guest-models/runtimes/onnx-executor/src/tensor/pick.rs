//! Elements of a tensor in another order: all movement of data, whatever its type.

use wardian_sdk::{Error, OrError};

use super::{Data, Element, Shape, Tensor, allocate, with_values};

/// A walk over the elements of a tensor: where it begins, and the steps along the axes of the
/// result. A step may be 0 or negative.
pub struct Walk {
    /// The shape of the result.
    pub shape: Shape,
    /// The index of the first element.
    pub start: usize,
    /// Elements between neighbours along each axis.
    pub steps: Vec<isize>,
}

impl Tensor {
    /// Returns a tensor of the elements at these indices.
    ///
    /// # Errors
    /// Rejected if there is no such element, or they do not fill the shape.
    pub fn pick(&self, shape: Shape, indices: &[usize]) -> Result<Self, Error> {
        fn pick<T: Element>(values: &[T], indices: &[usize]) -> Result<Vec<T>, Error> {
            let mut picked = allocate(indices.len())?;
            for index in indices {
                picked.push(values.get(*index).or_rejected("an index is beyond the data")?.clone());
            }
            Ok(picked)
        }
        let data = with_values!(self.data(), values => Element::wrap(pick(values, indices)?));
        Self::from_data(shape, data)
    }

    /// Returns a tensor of blocks of this many elements that start at these indices.
    ///
    /// # Errors
    /// Rejected if there is no such block, or they do not fill the shape.
    pub fn pick_blocks(
        &self,
        shape: Shape,
        length: usize,
        starts: impl Iterator<Item = usize>,
    ) -> Result<Self, Error> {
        fn pick<T: Element>(
            values: &[T],
            starts: impl Iterator<Item = usize>,
            length: usize,
            mut picked: Vec<T>,
        ) -> Result<Vec<T>, Error> {
            for start in starts {
                let block = values.get(start..).and_then(|rest| rest.get(..length));
                picked.extend_from_slice(block.or_rejected("an index is beyond the data")?);
            }
            Ok(picked)
        }
        let size = shape.elements();
        let data = with_values!(
            self.data(),
            values => Element::wrap(pick(values, starts, length, allocate(size)?)?)
        );
        Self::from_data(shape, data)
    }

    /// Returns the elements along a walk.
    ///
    /// # Errors
    /// Rejected if it leaves the data.
    pub fn walk(&self, walk: &Walk) -> Result<Self, Error> {
        let Walk { shape, start, steps } = walk;
        let (outer, length) = contiguous(shape, steps);
        if let Some(columns) = Columns::of(shape, steps) {
            return self.pick_columns(*shape, *start, steps, columns);
        }
        if let (1, Some(step), Some(extent)) = (length, forward(steps), shape.last()) {
            return self.pick_rows(*shape, (*start, steps), (step, *extent));
        }
        let mut starts = allocate(shape.elements().checked_div(length).unwrap_or_default())?;
        if shape.elements() > 0 {
            collect_starts(&shape[..outer], steps, *start as isize, &mut starts);
        }
        match length {
            1 => self.pick(*shape, &starts),
            _ => self.pick_blocks(*shape, length, starts.into_iter()),
        }
    }

    /// Returns the elements along a walk whose last axis has so many elements, and this step.
    fn pick_rows(
        &self,
        shape: Shape,
        (start, steps): (usize, &[isize]),
        (step, extent): (usize, usize),
    ) -> Result<Self, Error> {
        fn pick<T: Element>(
            values: &[T],
            starts: &[usize],
            (step, extent): (usize, usize),
        ) -> Result<Vec<T>, Error> {
            let mut picked = allocate(starts.len() * extent)?;
            for start in starts {
                let row = values.get(*start..).unwrap_or_default().iter();
                picked.extend(row.step_by(step).take(extent).cloned());
            }
            Ok(picked)
        }
        let outer = &shape[..shape.len() - 1];
        let mut starts = allocate(outer.iter().product())?;
        if shape.elements() > 0 {
            collect_starts(outer, steps, start as isize, &mut starts);
        }
        let row = (step, extent);
        let data = with_values!(self.data(), values => Element::wrap(pick(values, &starts, row)?));
        // A walk that leaves the data has fewer elements than its shape.
        Self::from_data(shape, data)
    }

    /// Returns the elements along a walk that turns matrices.
    fn pick_columns(
        &self,
        shape: Shape,
        start: usize,
        steps: &[isize],
        columns: Columns,
    ) -> Result<Self, Error> {
        fn pick<T: Element>(
            values: &[T],
            starts: &[usize],
            Columns { rows, extent, step, .. }: Columns,
        ) -> Result<Vec<T>, Error> {
            let mut picked = allocate(starts.len() * rows * extent)?;
            picked.resize(starts.len() * rows * extent, T::default());
            let matrices = picked.chunks_exact_mut(rows * extent).zip(starts);

            for (matrix, start) in matrices {
                for first in (0..rows).step_by(TILE) {
                    let count = TILE.min(rows - first);
                    for place in 0..extent {
                        let from = start.saturating_add(place.saturating_mul(step) + first);
                        let from = values.get(from..).and_then(|rest| rest.get(..count));
                        let from = from.or_rejected("an index is beyond the data")?;
                        let to = matrix[first * extent + place..].iter_mut().step_by(extent);
                        to.zip(from).for_each(|(to, from)| *to = from.clone());
                    }
                }
            }
            Ok(picked)
        }
        let outer = &shape[..columns.first_axis];
        let mut starts = allocate(outer.iter().product())?;
        collect_starts(outer, steps, start as isize, &mut starts);

        let data =
            with_values!(self.data(), values => Element::wrap(pick(values, &starts, columns)?));
        Self::from_data(shape, data)
    }

    /// Returns the tensor with its axes in another order.
    ///
    /// # Errors
    /// Rejected if there is not enough memory.
    pub fn transpose(&self, order: &[usize]) -> Result<Self, Error> {
        let own = strides(self.shape());
        let extents: Vec<_> =
            order.iter().filter_map(|axis| self.shape().get(*axis)).copied().collect();
        let steps = order.iter().filter_map(|axis| own.get(*axis)).copied().collect();
        self.walk(&Walk { shape: Shape::new(&extents)?, start: 0, steps })
    }
}

/// Matrices that are turned: their rows follow each other in the data, and the elements of a row
/// are `step` apart.
#[derive(Clone, Copy)]
struct Columns {
    first_axis: usize,
    rows: usize,
    extent: usize,
    step: usize,
}

/// Rows that are read together, so that what is read follows each other.
const TILE: usize = 16;

impl Columns {
    /// The last two axes of a walk, if they are such matrices.
    fn of(shape: &Shape, steps: &[isize]) -> Option<Self> {
        if shape.elements() == 0 {
            return None;
        }
        let mut axes = (0..shape.len()).rev().filter(|axis| shape[*axis] != 1);
        let (last, before) = (axes.next()?, axes.next()?);
        let step = usize::try_from(*steps.get(last)?).ok()?;
        let is_turned = steps.get(before) == Some(&1) && step > 1 && shape[before] >= TILE / 2;
        let (rows, extent) = (shape[before], shape[last]);
        is_turned.then_some(Columns { first_axis: before, rows, extent, step })
    }
}

/// Returns the elements between neighbours along each axis of a tensor.
pub fn strides(shape: &Shape) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as isize;
    }
    strides
}

/// Returns the number of axes before those whose elements follow each other, and the number of
/// those elements.
fn contiguous(shape: &Shape, steps: &[isize]) -> (usize, usize) {
    let mut length = 1;
    for axis in (0..shape.len()).rev() {
        if shape[axis] != 1 && steps.get(axis) != Some(&(length as isize)) {
            return (axis + 1, length);
        }
        length *= shape[axis];
    }
    (0, length)
}

/// Returns the last step of a walk, if it is forward.
fn forward(steps: &[isize]) -> Option<usize> {
    let step = usize::try_from(*steps.last()?).ok();
    step.filter(|step| *step > 0)
}

/// Adds the indices at which a walk over the outer axes arrives.
fn collect_starts(extents: &[usize], steps: &[isize], start: isize, starts: &mut Vec<usize>) {
    let mut counters = vec![0; extents.len()];
    let mut index = start;
    loop {
        // A walk that leaves the data in front of it is refused when the element is looked up.
        starts.push(usize::try_from(index).unwrap_or(usize::MAX));
        let mut axis = extents.len();
        loop {
            let Some(next) = axis.checked_sub(1) else { return };
            axis = next;
            counters[axis] += 1;
            index += steps[axis];
            if counters[axis] < extents[axis] {
                break;
            }
            index -= steps[axis] * extents[axis] as isize;
            counters[axis] = 0;
        }
    }
}

// === impl Data ===

impl Data {
    /// Returns a list without elements of this type, with room for `length`.
    ///
    /// # Errors
    /// Rejected if there is not enough memory.
    pub fn empty(&self, length: usize) -> Result<Self, Error> {
        fn empty<T: Element>(_: &[T], length: usize) -> Result<Data, Error> {
            Ok(T::wrap(allocate(length)?))
        }
        with_values!(self, values => empty(values, length))
    }

    /// Appends a block of other data of the same type.
    ///
    /// # Errors
    /// Rejected if there is no such block.
    pub fn append(&mut self, from: &Self, start: usize, length: usize) -> Result<(), Error> {
        fn append<T: Element>(
            values: &mut Vec<T>,
            from: &Data,
            start: usize,
            length: usize,
        ) -> Result<(), Error> {
            let from = T::values(from).or_failed("data of another type")?;
            let end = start.checked_add(length);
            let block = end.and_then(|end| from.get(start..end));
            values.extend_from_slice(block.or_rejected("an index is beyond the data")?);
            Ok(())
        }
        with_values!(self, values => append(values, from, start, length))
    }
}
