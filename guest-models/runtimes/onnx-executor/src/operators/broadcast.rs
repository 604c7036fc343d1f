//! Broadcasting: tensors of different shapes, element by element.

use std::iter::repeat_n;

use wardian_sdk::Error;

use crate::tensor::{Shape, allocate};

/// The common shape of two tensors, and how to walk both.
pub struct Broadcast {
    /// The common shape.
    pub shape: Shape,
    /// Dimensions, the last first, joined where both tensors are walked alike.
    dimensions: Vec<Dimension>,
}

#[derive(Clone, Copy)]
struct Dimension {
    extent: usize,
    /// Steps from one element to the next, 0 where a tensor is repeated.
    steps: [usize; 2],
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
        let [one, other] = [one, other].map(|given| steps(given, &shape));
        let mut dimensions: Vec<Dimension> = Vec::with_capacity(shape.len());
        for axis in (0..shape.len()).rev().filter(|axis| shape[*axis] != 1) {
            let next = Dimension { extent: shape[axis], steps: [one[axis], other[axis]] };
            match dimensions.last_mut() {
                Some(inner) if inner.continues(&next) => inner.extent *= next.extent,
                _ => dimensions.push(next),
            }
        }
        Ok(Self { shape, dimensions })
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
        let Some((inner, outer)) = self.dimensions.split_first() else {
            results.extend(one.iter().zip(other).map(|(a, b)| function(a, b)).take(1));
            return Ok(results);
        };
        if self.shape.elements() == 0 {
            return Ok(results);
        }

        let mut counters = vec![0; outer.len()];
        let mut offsets = [0, 0];
        while let (Some(one), Some(other)) = (one.get(offsets[0]..), other.get(offsets[1]..)) {
            let length = inner.extent;
            match (inner.steps, one, other) {
                ([0, _], [one, ..], _) => {
                    results.extend(repeat_n(one, length).zip(other).map(|(a, b)| function(a, b)))
                }
                ([_, 0], _, [other, ..]) => {
                    results.extend(one.iter().take(length).map(|a| function(a, other)))
                }
                _ => {
                    results.extend(one.iter().zip(other).take(length).map(|(a, b)| function(a, b)))
                }
            }
            if !advance(outer, &mut counters, &mut offsets) {
                break;
            }
        }
        Ok(results)
    }
}

impl Dimension {
    /// Returns true if the next outer dimension is walked as if it were more of this one.
    fn continues(&self, outer: &Self) -> bool {
        let fits = |index: usize| outer.steps[index] == self.steps[index] * self.extent;
        fits(0) && fits(1)
    }
}

/// Goes to the next place of the outer dimensions; false at the end.
fn advance(outer: &[Dimension], counters: &mut [usize], offsets: &mut [usize; 2]) -> bool {
    for (dimension, counter) in outer.iter().zip(counters) {
        *counter += 1;
        if *counter < dimension.extent {
            offsets[0] += dimension.steps[0];
            offsets[1] += dimension.steps[1];
            return true;
        }
        *counter = 0;
        offsets[0] -= dimension.steps[0] * (dimension.extent - 1);
        offsets[1] -= dimension.steps[1] * (dimension.extent - 1);
    }
    false
}
