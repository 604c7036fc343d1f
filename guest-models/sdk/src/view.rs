//! Typed views over the little-endian bytes of tensors.

use std::iter::FusedIterator;
use std::marker::PhantomData;

use crate::{Error, OrError, Tensor, Typed};

/// A number or `bool`: an element of fixed size. Sealed.
pub trait Element: Typed + Copy + sealed::Sealed {
    /// Bytes of one element in a tensor's data.
    const SIZE: usize;

    #[doc(hidden)]
    fn from_bytes(bytes: &[u8]) -> Self;

    #[doc(hidden)]
    fn push_to(self, data: &mut Vec<u8>);
}

/// The elements of a tensor, decoded as they are read. Its datatype and length have been checked.
#[derive(Clone, Copy)]
pub struct View<'a, T> {
    shape: &'a [u64],
    bytes: &'a [u8],
    element: PhantomData<T>,
}

/// The rows of a [`View`], each a view itself.
pub struct Rows<'a, T> {
    rest: View<'a, T>,
    width: usize,
    left: usize,
}

// === impl Tensor ===

impl Tensor {
    /// Returns the elements as numbers or booleans.
    ///
    /// # Errors
    /// Rejected if the tensor has another datatype or its data do not fill its shape.
    pub fn view<T: Element>(&self) -> Result<View<'_, T>, Error> {
        self.expect_datatype::<T>()?;
        let wanted = self.elements().and_then(|elements| elements.checked_mul(T::SIZE));
        if wanted != Some(self.data.len()) {
            return Err(self.does_not_fill_shape());
        }
        Ok(View::new(&self.shape, &self.data))
    }

    /// Returns the elements of a `BYTES` tensor as text.
    ///
    /// # Errors
    /// Rejected if the tensor has another datatype, its data do not fill its shape, or an element
    /// is not UTF-8.
    pub fn strings(&self) -> Result<Vec<&str>, Error> {
        let strings = self.blobs()?.into_iter().enumerate().map(|(index, bytes)| {
            std::str::from_utf8(bytes)
                .or_rejected(format_args!("element {index} of {:?} is not UTF-8", self.name))
        });
        strings.collect()
    }

    /// Returns the elements of a `BYTES` tensor as bytes.
    ///
    /// # Errors
    /// Rejected if the tensor has another datatype or its data do not fill its shape.
    pub fn blobs(&self) -> Result<Vec<&[u8]>, Error> {
        self.expect_datatype::<String>()?;
        let mut blobs = Vec::new();
        let mut rest = self.data.as_slice();
        while !rest.is_empty() {
            let (blob, after) = split_blob(rest).ok_or_else(|| self.does_not_fill_shape())?;
            blobs.push(blob);
            rest = after;
        }
        if self.elements() != Some(blobs.len()) {
            return Err(self.does_not_fill_shape());
        }
        Ok(blobs)
    }

    fn expect_datatype<T: Typed>(&self) -> Result<(), Error> {
        if self.datatype == T::DATATYPE {
            return Ok(());
        }
        let text = format!("{:?} is of datatype {}, not {}", self.name, self.datatype, T::DATATYPE);
        Err(Error::rejected(text))
    }

    fn does_not_fill_shape(&self) -> Error {
        let Tensor { name, shape, data, .. } = self;
        Error::rejected(format_args!(
            "the {} bytes of {name:?} do not fill its shape {shape:?}",
            data.len()
        ))
    }
}

fn split_blob(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

// === impl View ===

impl<'a, T: Element> View<'a, T> {
    fn new(shape: &'a [u64], bytes: &'a [u8]) -> Self {
        Self { shape, bytes, element: PhantomData }
    }

    /// Returns the number of elements along each dimension.
    pub fn shape(&self) -> &'a [u64] {
        self.shape
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.bytes.len() / T::SIZE
    }

    /// Returns true if there are no elements.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the element at `index`, in row-major order, if there is one.
    pub fn get(&self, index: usize) -> Option<T> {
        let start = index.checked_mul(T::SIZE)?;
        let bytes = self.bytes.get(start..start.checked_add(T::SIZE)?)?;
        Some(T::from_bytes(bytes))
    }

    /// Iterates over the elements, in row-major order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + use<'a, T> {
        self.bytes.chunks_exact(T::SIZE).map(T::from_bytes)
    }

    /// Returns all elements, in row-major order, for [`crate::kernels`].
    pub fn to_vec(&self) -> Vec<T> {
        self.iter().collect()
    }

    /// Returns one view for each index of the first dimension: the items of a batch. A scalar has
    /// one.
    pub fn rows(&self) -> Rows<'a, T> {
        let (left, shape) = match self.shape.split_first() {
            Some((extent, shape)) => (*extent as usize, shape),
            None => (1, self.shape),
        };
        let width = self.len().checked_div(left).unwrap_or(0);
        Rows { rest: View::new(shape, self.bytes), width, left }
    }
}

// === impl Rows ===

impl<'a, T: Element> Iterator for Rows<'a, T> {
    type Item = View<'a, T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (row, rest) = self.rest.bytes.split_at(self.width * T::SIZE);
        self.rest.bytes = rest;
        Some(View::new(self.rest.shape, row))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T: Element> ExactSizeIterator for Rows<'_, T> {}
impl<T: Element> FusedIterator for Rows<'_, T> {}

// === impl Element ===

mod sealed {
    pub trait Sealed {}
}

macro_rules! numbers {
    ($($number:ty => $datatype:ident),* $(,)?) => {$(
        impl sealed::Sealed for $number {}

        impl Typed for $number {
            const DATATYPE: crate::Datatype = crate::Datatype::$datatype;
        }

        impl Element for $number {
            const SIZE: usize = size_of::<$number>();

            #[inline]
            fn from_bytes(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<$number>()];
                array.copy_from_slice(bytes);
                <$number>::from_le_bytes(array)
            }

            #[inline]
            fn push_to(self, data: &mut Vec<u8>) {
                data.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}

numbers! {
    u8 => Uint8, u16 => Uint16, u32 => Uint32, u64 => Uint64,
    i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64,
    f32 => Fp32, f64 => Fp64,
}

impl sealed::Sealed for bool {}

impl Typed for bool {
    const DATATYPE: crate::Datatype = crate::Datatype::Bool;
}

impl Element for bool {
    const SIZE: usize = 1;

    fn from_bytes(bytes: &[u8]) -> Self {
        bytes.iter().any(|byte| *byte != 0)
    }

    fn push_to(self, data: &mut Vec<u8>) {
        data.push(self.into());
    }
}

#[cfg(test)]
mod tests;
