//! Tensors as a file holds them.

use std::sync::Arc;

use half::{bf16, f16};
use wardian_sdk::{Error, OrError};

use super::{Data, Element, ElementType, Shape, Tensor, Text, collect};
use crate::proto::TensorProto;

/// The value of `data_location` for data outside of the file.
const EXTERNAL: i32 = 1;

impl Tensor {
    /// Reads a tensor.
    ///
    /// # Errors
    /// Failed if it is of a type that is not served, is stored outside of the file, or its data do
    /// not fill its shape.
    pub fn read(proto: &TensorProto) -> Result<Self, Error> {
        read(proto).or_failed(format_args!("the tensor {:?}", proto.name))
    }
}

fn read(proto: &TensorProto) -> Result<Tensor, Error> {
    if proto.data_location == EXTERNAL || !proto.external_data.is_empty() {
        return Err(Error::failed(
            "its data are in another file, at a place where that is not served",
        ));
    }
    if proto.segment.is_some() {
        return Err(Error::failed(
            "it is a segment of a tensor; save the model with whole tensors",
        ));
    }
    let element = ElementType::from_code(proto.data_type.into())
        .or_failed(format_args!("elements of ONNX's type {} are not served", proto.data_type))?;
    let shape = Shape::from_numbers(&proto.dims)?;

    let data = match &proto.raw_data {
        Some(bytes) if element != ElementType::Text => raw(element, bytes, shape.elements())?,
        _ => fields(element, proto)?,
    };
    Tensor::from_data(shape, data)
}

/// Reads data in little-endian order.
fn raw(element: ElementType, bytes: &[u8], elements: usize) -> Result<Data, Error> {
    if (elements as u64).checked_mul(element.size() as u64) != Some(bytes.len() as u64) {
        let size = element.size();
        let text = format!("{} bytes for {elements} elements of {size} bytes", bytes.len());
        return Err(Error::failed(text));
    }
    macro_rules! numbers {
        ($($variant:ident($number:ty)),*) => {
            match element {
                $(ElementType::$variant => Data::$variant(from_bytes(bytes, <$number>::from_le_bytes)?),)*
                ElementType::Bool => Data::Bool(collect(bytes.iter().map(|byte| *byte != 0))?),
                ElementType::Text => Data::Text(Vec::new()),
            }
        };
    }
    Ok(numbers!(
        F32(f32),
        F64(f64),
        I64(i64),
        I32(i32),
        I16(i16),
        I8(i8),
        U64(u64),
        U32(u32),
        U16(u16),
        U8(u8),
        F16(f16),
        Bf16(bf16)
    ))
}

fn from_bytes<T: Element, const N: usize>(
    bytes: &[u8],
    decode: fn([u8; N]) -> T,
) -> Result<Vec<T>, Error> {
    let (chunks, _) = bytes.as_chunks::<N>();
    collect(chunks.iter().map(|chunk| decode(*chunk)))
}

/// Reads data from the field of their type. Types without a field of their own are in `int32_data`.
fn fields(element: ElementType, proto: &TensorProto) -> Result<Data, Error> {
    let ints = || proto.int32_data.iter();
    Ok(match element {
        ElementType::F32 => Data::F32(proto.float_data.clone()),
        ElementType::F64 => Data::F64(proto.double_data.clone()),
        ElementType::I64 => Data::I64(proto.int64_data.clone()),
        ElementType::I32 => Data::I32(proto.int32_data.clone()),
        ElementType::U64 => Data::U64(proto.uint64_data.clone()),
        ElementType::U32 => {
            Data::U32(collect(proto.uint64_data.iter().map(|value| *value as u32))?)
        }
        ElementType::I16 => Data::I16(collect(ints().map(|value| *value as i16))?),
        ElementType::I8 => Data::I8(collect(ints().map(|value| *value as i8))?),
        ElementType::U16 => Data::U16(collect(ints().map(|value| *value as u16))?),
        ElementType::U8 => Data::U8(collect(ints().map(|value| *value as u8))?),
        ElementType::Bool => Data::Bool(collect(ints().map(|value| *value != 0))?),
        ElementType::F16 => Data::F16(collect(ints().map(|value| f16::from_bits(*value as u16)))?),
        ElementType::Bf16 => {
            Data::Bf16(collect(ints().map(|value| bf16::from_bits(*value as u16)))?)
        }
        ElementType::Text => Data::Text(texts(&proto.string_data)?),
    })
}

/// Reads strings.
///
/// # Errors
/// Failed if one is not UTF-8.
pub fn texts(strings: &[Vec<u8>]) -> Result<Vec<Text>, Error> {
    let text = |bytes: &Vec<u8>| {
        let text = std::str::from_utf8(bytes).or_failed("a string is not UTF-8")?;
        Ok(Arc::from(text))
    };
    strings.iter().map(text).collect()
}
