//! Broadcasting: tensors of different shapes, element by element.

use std::iter::repeat_n;

use wardian_sdk::Error;

use crate::tensor::{Shape, allocate};

/// The common shape of two tensors, and how to walk both.
pub struct Broadcast {
    /// The common shape.
    pub shape: Shape,
    rows: Rows<2>,
}

/// A walk over tensors of a common shape by rows: along its last axes, as many as all tensors walk
/// alike.
pub struct Rows<const N: usize> {
    /// The elements of a row; 0 if there is no row.
    extent: usize,
    /// The steps between the elements of a row, 0 or 1.
    steps: [usize; N],
    /// The other axes, the last first, with the steps of each tensor.
    outer: Vec<(usize, [usize; N])>,
}

/// Returns the common shape of tensors.
///
/// # Errors
/// Rejected if there is none.
pub fn common_shape(one: &Shape, other: &Shape) -> Result<Shape, Error> {
    if one == other {
        return Ok(*one);
    }
    let rank = one.len().max(other.len());
    let mut extents = Vec::with_capacity(rank);
    for axis in 0..rank {
        let [a, b] = [one, other].map(|shape| extent(shape, axis, rank));
        extents.push(match (a, b) {
            (a, b) if a == b => a,
            (1, extent) | (extent, 1) => extent,
            _ => {
                let text = format!("the shapes {one:?} and {other:?} do not fit each other");
                return Err(Error::rejected(text));
            }
        });
    }
    Shape::new(&extents)
}

fn extent(shape: &Shape, axis: usize, rank: usize) -> usize {
    let missing = rank - shape.len();
    axis.checked_sub(missing).map_or(1, |axis| shape[axis])
}

/// Returns the steps between elements of a tensor along the axes of a larger shape.
pub fn steps(shape: &Shape, into: &Shape) -> Vec<usize> {
    let rank = into.len();
    let mut steps = vec![0; rank];
    let mut step = 1;
    for axis in (0..rank).rev() {
        let extent = extent(shape, axis, rank);
        steps[axis] = if extent == 1 { 0 } else { step };
        step *= extent;
    }
    steps
}

impl Broadcast {
    /// Finds the common shape of two tensors.
    ///
    /// # Errors
    /// Rejected if there is none.
    pub fn new(one: &Shape, other: &Shape) -> Result<Self, Error> {
        let shape = common_shape(one, other)?;
        let rows = Rows::new(&shape, [one, other]);
        Ok(Self { shape, rows })
    }

    /// Applies a function to each pair of elements.
    ///
    /// # Errors
    /// Rejected if there is not enough memory.
    pub fn map<A: Clone, B: Clone, C>(
        &self,
        one: &[A],
        other: &[B],
        function: impl Fn(&A, &B) -> C,
    ) -> Result<Vec<C>, Error> {
        let mut results = allocate(self.shape.elements())?;
        self.rows.for_each(|[(place, step), (other_place, other_step)], extent| {
            let one = one.get(place..).unwrap_or_default();
            let other = other.get(other_place..).unwrap_or_default();
            match (step, other_step, one, other) {
                (0, _, [one, ..], _) => {
                    results.extend(repeat_n(one, extent).zip(other).map(|(a, b)| function(a, b)))
                }
                (_, 0, _, [other, ..]) => {
                    results.extend(one.iter().take(extent).map(|a| function(a, other)))
                }
                _ => {
                    results.extend(one.iter().zip(other).take(extent).map(|(a, b)| function(a, b)))
                }
            }
        });
        Ok(results)
    }
}

impl<const N: usize> Rows<N> {
    /// Rows of a shape that tensors of these shapes have in common.
    pub fn new(shape: &Shape, tensors: [&Shape; N]) -> Self {
        let all = tensors.map(|tensor| steps(tensor, shape));
        let axes = (0..shape.len()).rev().filter(|axis| shape[*axis] != 1);
        let mut axes = axes.map(|axis| (shape[axis], std::array::from_fn(|n| all[n][axis])));
        let (mut extent, steps) = axes.next().unwrap_or((1, [1; N]));

        let mut outer: Vec<(usize, [usize; N])> = Vec::new();
        for (next, next_steps) in axes {
            let continues = |n: usize| next_steps[n] == steps[n] * extent;
            if outer.is_empty() && (0..N).all(continues) {
                extent *= next;
            } else {
                outer.push((next, next_steps));
            }
        }
        if shape.elements() == 0 {
            extent = 0;
        }
        Rows { extent, steps, outer }
    }

    /// Calls a function with the place and the step of each tensor, and the elements of a row.
    pub fn for_each(&self, mut function: impl FnMut([(usize, usize); N], usize)) {
        if self.extent == 0 {
            return;
        }

        let mut counters = vec![0; self.outer.len()];
        let mut places = [0; N];
        loop {
            function(std::array::from_fn(|n| (places[n], self.steps[n])), self.extent);
            if !self.advance(&mut counters, &mut places) {
                return;
            }
        }
    }

    /// Goes to the next row; false at the end.
    fn advance(&self, counters: &mut [usize], places: &mut [usize; N]) -> bool {
        for ((extent, steps), counter) in self.outer.iter().zip(counters) {
            *counter += 1;
            if *counter < *extent {
                places.iter_mut().zip(steps).for_each(|(place, step)| *place += step);
                return true;
            }
            *counter = 0;
            let back = places.iter_mut().zip(steps);
            back.for_each(|(place, step)| *place -= step * (extent - 1));
        }
        false
    }
}
