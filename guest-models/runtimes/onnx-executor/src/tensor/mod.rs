//! Tensors: the only values that exist while a graph runs.

mod element;
pub(crate) use element::with_values;
pub use element::{Data, Element, ElementType, Text};

mod shape;
pub use shape::{Shape, axis_of};

mod pick;
pub use pick::{Walk, strides};

mod read;
pub use read::texts;

pub(crate) mod spare;
pub use spare::overwritten;

use std::fmt;

use wardian_sdk::{Error, OrError};

/// A dense tensor. Its data fill its shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Shape,
    data: Data,
}

impl Tensor {
    /// Makes a tensor.
    ///
    /// # Errors
    /// Rejected if the values do not fill the shape.
    pub fn new<T: Element>(shape: Shape, values: Vec<T>) -> Result<Self, Error> {
        Self::from_data(shape, T::wrap(values))
    }

    /// Makes a tensor of data of any type.
    ///
    /// # Errors
    /// Rejected if the data do not fill the shape.
    pub fn from_data(shape: Shape, data: Data) -> Result<Self, Error> {
        if data.len() != shape.elements() {
            let text = format!("{} elements do not fill the shape {shape:?}", data.len());
            return Err(Error::rejected(text));
        }
        Ok(Self { shape, data })
    }

    /// Makes a tensor of one dimension.
    ///
    /// # Errors
    /// Rejected if there are more values than the limit.
    pub fn vector<T: Element>(values: Vec<T>) -> Result<Self, Error> {
        Self::new(Shape::new(&[values.len()])?, values)
    }

    /// Makes a tensor of one value without dimensions.
    pub fn scalar<T: Element>(value: T) -> Self {
        Self { shape: Shape::SCALAR, data: T::wrap(vec![value]) }
    }

    /// Returns the shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Returns the type of the elements.
    pub fn element_type(&self) -> ElementType {
        self.data.element_type()
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Returns the elements in row-major order.
    ///
    /// # Errors
    /// Failed if they are of another type: the type of every value is checked when the graph is
    /// read.
    pub fn values<T: Element>(&self) -> Result<&[T], Error> {
        let mismatch = Mismatch { given: self.element_type(), wanted: T::TYPE };
        T::values(&self.data).or_failed(mismatch)
    }

    /// Unwraps the elements.
    ///
    /// # Errors
    /// As for [`Tensor::values`].
    pub fn into_values<T: Element>(self) -> Result<Vec<T>, Error> {
        let mismatch = Mismatch { given: self.element_type(), wanted: T::TYPE };
        T::unwrap(self.data).or_failed(mismatch)
    }

    /// Returns the elements as whole numbers: of int64 or int32.
    ///
    /// # Errors
    /// As for [`Tensor::values`].
    pub fn integers(&self) -> Result<Vec<i64>, Error> {
        match &self.data {
            Data::I64(values) => Ok(values.clone()),
            Data::I32(values) => Ok(values.iter().map(|value| (*value).into()).collect()),
            _ => {
                let (given, wanted) = (self.element_type(), ElementType::I64);
                Err(Error::failed(Mismatch { given, wanted }))
            }
        }
    }

    /// Returns this tensor with another shape of as many elements.
    ///
    /// # Errors
    /// Rejected if the number of elements differs.
    pub fn reshape(self, shape: Shape) -> Result<Self, Error> {
        let before = self.shape;
        Self::from_data(shape, self.data)
            .map_err(|_| Error::rejected(format_args!("{before:?} cannot become {shape:?}")))
    }
}

/// A text that says which type of elements was given in place of another.
struct Mismatch {
    given: ElementType,
    wanted: ElementType,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a tensor of {} where one of {} belongs", self.given, self.wanted)
    }
}

/// Makes an empty list with room for `length` values.
///
/// # Errors
/// Rejected if there is not enough memory.
pub fn allocate<T>(length: usize) -> Result<Vec<T>, Error> {
    let mut values = Vec::new();
    let room = values.try_reserve_exact(length);
    room.or_rejected(format_args!("no memory for {length} elements"))?;
    Ok(values)
}

/// Makes a list of equal values.
///
/// # Errors
/// Rejected if there is not enough memory.
pub fn filled<T: Clone>(length: usize, value: T) -> Result<Vec<T>, Error> {
    let mut values = allocate(length)?;
    values.resize(length, value);
    Ok(values)
}

/// Collects an iterator of known length.
///
/// # Errors
/// Rejected if there is not enough memory.
pub fn collect<T>(values: impl ExactSizeIterator<Item = T>) -> Result<Vec<T>, Error> {
    let mut list = allocate(values.len())?;
    list.extend(values);
    Ok(list)
}
