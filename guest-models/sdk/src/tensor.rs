//! Construction of tensors, and the datatypes of Rust types.

use std::fmt;

use crate::{Datatype, Element, Tensor};

/// A Rust type that corresponds to a tensor's datatype: the numbers, `bool`, and `String` for
/// `BYTES`.
///
/// `FP16` and `BF16` have none in stable Rust; read or fill [`Tensor::data`] by hand.
pub trait Typed {
    /// The datatype.
    const DATATYPE: Datatype;
}

impl Typed for String {
    const DATATYPE: Datatype = Datatype::Bytes;
}

// === impl Tensor ===

impl Tensor {
    /// Makes a tensor of numbers or booleans, in row-major order.
    ///
    /// `shape` is the number of elements along each dimension. The host refuses a response in which
    /// the values do not fill it exactly.
    pub fn new<T: Element>(
        name: &str,
        shape: impl IntoIterator<Item = usize>,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        let values = values.into_iter();
        let mut data = Vec::with_capacity(values.size_hint().0 * T::SIZE);
        values.for_each(|value| value.push_to(&mut data));
        Self::from_data(name, T::DATATYPE, shape, data)
    }

    /// Makes a tensor of `BYTES`, in row-major order: of strings, or of any bytes.
    ///
    /// `shape` is the number of elements along each dimension.
    pub fn from_strings(
        name: &str,
        shape: impl IntoIterator<Item = usize>,
        values: impl IntoIterator<Item: AsRef<[u8]>>,
    ) -> Self {
        let mut data = Vec::new();
        for value in values {
            let bytes = value.as_ref();
            // An element of 4 GiB cannot exist in a 32-bit memory.
            data.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            data.extend_from_slice(bytes);
        }
        Self::from_data(name, Datatype::Bytes, shape, data)
    }

    fn from_data(
        name: &str,
        datatype: Datatype,
        shape: impl IntoIterator<Item = usize>,
        data: Vec<u8>,
    ) -> Self {
        let name = name.to_owned();
        let shape = shape.into_iter().map(|extent| extent as u64).collect();
        Self { name, datatype, shape, data }
    }

    /// Returns the number of elements of the shape; `None` if it overflows.
    pub(crate) fn elements(&self) -> Option<usize> {
        let extents = self.shape.iter();
        extents
            .map(|extent| usize::try_from(*extent).ok())
            .try_fold(1, |product: usize, extent| product.checked_mul(extent?))
    }
}

// === impl Datatype ===

/// Writes the name of the protocol: `FP64`, `BYTES`.
impl fmt::Display for Datatype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Datatype::Bool => "BOOL",
            Datatype::Uint8 => "UINT8",
            Datatype::Uint16 => "UINT16",
            Datatype::Uint32 => "UINT32",
            Datatype::Uint64 => "UINT64",
            Datatype::Int8 => "INT8",
            Datatype::Int16 => "INT16",
            Datatype::Int32 => "INT32",
            Datatype::Int64 => "INT64",
            Datatype::Fp16 => "FP16",
            Datatype::Bf16 => "BF16",
            Datatype::Fp32 => "FP32",
            Datatype::Fp64 => "FP64",
            Datatype::Bytes => "BYTES",
        })
    }
}
