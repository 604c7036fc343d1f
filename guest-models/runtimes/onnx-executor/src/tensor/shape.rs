//! Numbers of elements along each dimension.

use std::fmt;
use std::ops::Deref;

use wardian_sdk::{Error, OrError};

/// The largest number of dimensions.
const MAX_RANK: usize = 8;

/// The largest number of elements of a tensor. A batch of 4,096 rows of 65,536 columns has as many.
const MAX_ELEMENTS: u64 = if cfg!(fuzzing) { 1 << 20 } else { 1 << 28 };

/// The shape of a tensor. One that exists is within the limits, also where a dimension is 0 and the
/// others are multiplied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    rank: usize,
    extents: [usize; MAX_RANK],
}

impl Shape {
    /// The shape of one element without dimensions.
    pub const SCALAR: Self = Self { rank: 0, extents: [1; MAX_RANK] };

    /// Makes a shape.
    ///
    /// # Errors
    /// Rejected if there are more dimensions or elements than the limits allow.
    pub fn new(extents: &[usize]) -> Result<Self, Error> {
        let mut shape = Self::SCALAR;
        for extent in extents {
            shape.push(*extent)?;
        }
        shape.check()
    }

    /// Makes a shape of any numbers.
    ///
    /// # Errors
    /// Rejected if one is negative, or the shape is beyond the limits.
    pub fn from_numbers(extents: &[i64]) -> Result<Self, Error> {
        let mut shape = Self::SCALAR;
        for extent in extents {
            let extent = usize::try_from(*extent);
            shape.push(extent.or_rejected(format_args!("the shape {extents:?}"))?)?;
        }
        shape.check()
    }

    fn push(&mut self, extent: usize) -> Result<(), Error> {
        let place = self.extents.get_mut(self.rank);
        *place.or_rejected(format_args!("more than {MAX_RANK} dimensions"))? = extent;
        self.rank += 1;
        Ok(())
    }

    fn check(self) -> Result<Self, Error> {
        let mut elements = 1_u64;
        for extent in self.iter() {
            elements = elements.saturating_mul((*extent).max(1) as u64);
        }
        if elements > MAX_ELEMENTS {
            let text = format!("a tensor of shape {self:?} is larger than {MAX_ELEMENTS} elements");
            return Err(Error::rejected(text));
        }
        Ok(self)
    }

    /// Returns the number of elements.
    pub fn elements(&self) -> usize {
        self.iter().product()
    }

    /// Returns the product of the dimensions before `axis`, and of those from it on.
    pub fn split_at_axis(&self, axis: usize) -> (usize, usize) {
        let (before, after) = self.split_at(axis.min(self.rank));
        (before.iter().product(), after.iter().product())
    }

    /// Returns the index of an axis that counts from the end if it is negative.
    ///
    /// # Errors
    /// Rejected if there is none.
    pub fn axis(&self, axis: i64) -> Result<usize, Error> {
        axis_of(axis, self.rank)
    }

    /// Returns this shape with another extent along an axis, which must exist.
    ///
    /// # Errors
    /// Rejected if the shape is beyond the limits.
    pub fn with(mut self, axis: usize, extent: usize) -> Result<Self, Error> {
        if let Some(place) = self.extents[..self.rank].get_mut(axis) {
            *place = extent;
        }
        self.check()
    }
}

/// Returns the index of an axis of `rank` dimensions, counted from the end if it is negative.
///
/// # Errors
/// Rejected if there is none.
pub fn axis_of(axis: i64, rank: usize) -> Result<usize, Error> {
    let counted = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    let index = usize::try_from(counted).ok().filter(|index| *index < rank);
    index.or_rejected(format_args!("there is no axis {axis} of {rank}"))
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.extents[..self.rank]
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, formatter)
    }
}
