//! The types of values between nodes.

use std::sync::Arc;

use wardian_sdk::Error;

use super::tensor::{ElementType, Text};

/// The type of a value. While a graph runs, each is a tensor: also ZipMap's sequence of maps, which
/// is the tensor of its numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueType {
    /// A tensor.
    Tensor(ElementType),
    /// The output of ZipMap: a tensor of float, [rows, classes].
    Maps(Arc<Classes>),
}

/// The keys of ZipMap's maps, in the order of the columns.
#[derive(Clone, Debug, PartialEq)]
pub enum Classes {
    /// Whole numbers.
    Numbers(Vec<i64>),
    /// Texts.
    Texts(Vec<Text>),
}

impl ValueType {
    /// Returns the type of a tensor's elements.
    ///
    /// # Errors
    /// Failed if it is the output of ZipMap, which no operator takes.
    pub fn element(&self) -> Result<ElementType, Error> {
        match self {
            Self::Tensor(element) => Ok(*element),
            Self::Maps(_) => Err(Error::failed("the output of ZipMap cannot be computed with")),
        }
    }
}

// === impl Classes ===

impl Classes {
    /// Returns the number of classes.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
        }
    }
}
