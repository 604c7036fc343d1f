//! Changes of the type of elements.

use std::ops::Range;

use half::{bf16, f16};
use wardian_sdk::{Error, OrError};

use super::Operator;
use super::text_cast::{from_texts, to_texts};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{Data, ElementType, Tensor, collect};

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator::onnx("Cast", 6, ElementType::ALL, |node| {
        let code = node.find_integer("to").or_failed("it has no type to cast to")?;
        let to = ElementType::from_code(code);
        cast_to(node, to.or_failed(format_args!("ONNX's type {code} is not served"))?)
    }),
    Operator::onnx("CastLike", 15, ElementType::ALL, |node| cast_to(node, node.input_type(1)?)),
];

fn cast_to(node: &Node<'_>, to: ElementType) -> Result<Kernel, Error> {
    // Both are about types of 8 bits, which are not served.
    let _ = (node.attribute("saturate"), node.attribute("round_mode"));
    let from = node.input_type(0)?;
    if from == to {
        return Ok(Kernel::passing(crate::value_type::ValueType::Tensor(to)));
    }
    if (from, to) == (ElementType::Text, ElementType::Bool) {
        return Err(Error::failed("strings cannot become booleans"));
    }
    Ok(Kernel::new(to, move |arguments| {
        let tensor = arguments.get(0)?;
        Tensor::from_data(*tensor.shape(), cast(tensor.data(), to)?)
    }))
}

/// Casts data.
///
/// # Errors
/// Rejected if a string is no number, or there is not enough memory.
pub fn cast(data: &Data, to: ElementType) -> Result<Data, Error> {
    match (data, to) {
        // The frequent ones, without a detour.
        (Data::F32(values), ElementType::F64) => {
            Ok(Data::F64(collect(values.iter().map(|value| (*value).into()))?))
        }
        (Data::F64(values), ElementType::F32) => {
            Ok(Data::F32(collect(values.iter().map(|value| *value as f32))?))
        }
        (Data::I64(values), ElementType::F32) => {
            Ok(Data::F32(collect(values.iter().map(|value| *value as f32))?))
        }
        (Data::Bool(values), ElementType::F32) => {
            Ok(Data::F32(collect(values.iter().map(|value| f32::from(u8::from(*value))))?))
        }
        (Data::Text(values), _) => from_texts(values, to),
        (_, ElementType::Text) => Ok(Data::Text(to_texts(data)?)),
        _ => match wide(data)? {
            Wide::Fractions(values) => from_fractions(&values, to),
            Wide::Integers(values) => from_integers(&values, to),
            Wide::Naturals(values) => from_naturals(&values, to),
        },
    }
}

/// Numbers in the widest type of their kind.
enum Wide {
    Fractions(Vec<f64>),
    Integers(Vec<i64>),
    Naturals(Vec<u64>),
}

fn wide(data: &Data) -> Result<Wide, Error> {
    Ok(match data {
        Data::F32(values) => Wide::Fractions(collect(values.iter().map(|v| (*v).into()))?),
        Data::F64(values) => Wide::Fractions(values.clone()),
        Data::F16(values) => Wide::Fractions(collect(values.iter().map(|v| v.to_f64()))?),
        Data::Bf16(values) => Wide::Fractions(collect(values.iter().map(|v| v.to_f64()))?),
        Data::I64(values) => Wide::Integers(values.clone()),
        Data::I32(values) => Wide::Integers(collect(values.iter().map(|v| (*v).into()))?),
        Data::I16(values) => Wide::Integers(collect(values.iter().map(|v| (*v).into()))?),
        Data::I8(values) => Wide::Integers(collect(values.iter().map(|v| (*v).into()))?),
        Data::U32(values) => Wide::Integers(collect(values.iter().map(|v| (*v).into()))?),
        Data::U16(values) => Wide::Integers(collect(values.iter().map(|v| (*v).into()))?),
        Data::U8(values) => Wide::Integers(collect(values.iter().map(|v| (*v).into()))?),
        Data::Bool(values) => Wide::Integers(collect(values.iter().map(|v| (*v).into()))?),
        Data::U64(values) => Wide::Naturals(values.clone()),
        Data::Text(_) => return Err(Error::failed("strings are no numbers")),
    })
}

macro_rules! narrow {
    ($name:ident, $from:ty, $is_true:expr, $half:expr, $bf16:expr, $($variant:ident: $cast:expr),*) => {
        fn $name(values: &[$from], to: ElementType) -> Result<Data, Error> {
            Ok(match to {
                $(ElementType::$variant => {
                    Data::$variant(collect(values.iter().map(|value| $cast(*value)))?)
                })*
                ElementType::Bool => Data::Bool(collect(values.iter().map(|v| $is_true(*v)))?),
                ElementType::F16 => Data::F16(collect(values.iter().map(|v| $half(*v)))?),
                ElementType::Bf16 => Data::Bf16(collect(values.iter().map(|v| $bf16(*v)))?),
                ElementType::Text => return Err(Error::failed("numbers are no strings")),
            })
        }
    };
}

narrow!(
    from_fractions, f64, |v| v != 0.0, f16::from_f64, bf16::from_f64,
    F32: |v| v as f32, F64: |v| v,
    I64: truncated, I32: truncated_32,
    I16: |v| truncated_32(v) as i16, I8: |v| truncated_32(v) as i8,
    U64: natural, U32: |v| truncated(v) as u32,
    U16: |v| truncated_32(v) as u16, U8: |v| truncated_32(v) as u8
);

narrow!(
    from_integers, i64, |v| v != 0, |v| f16::from_f32(v as f32), |v| bf16::from_f32(v as f32),
    F32: |v| v as f32, F64: |v| v as f64,
    I64: |v| v, I32: |v| v as i32, I16: |v| v as i16, I8: |v| v as i8,
    U64: |v| v as u64, U32: |v| v as u32, U16: |v| v as u16, U8: |v| v as u8
);

narrow!(
    from_naturals, u64, |v| v != 0, |v| f16::from_f32(v as f32), |v| bf16::from_f32(v as f32),
    F32: |v| v as f32, F64: |v| v as f64,
    I64: |v| v as i64, I32: |v| v as i32, I16: |v| v as i16, I8: |v| v as i8,
    U64: |v| v, U32: |v| v as u32, U16: |v| v as u16, U8: |v| v as u8
);

/// Towards 0; the smallest integer for NaN and what is beyond the range, as processors answer.
pub fn truncated(value: f64) -> i64 {
    const RANGE: Range<f64> = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;
    if RANGE.contains(&value) { value as i64 } else { i64::MIN }
}

/// As [`truncated`], of 32 bits.
fn truncated_32(value: f64) -> i32 {
    let fits = value > -2_147_483_649.0 && value < 2_147_483_648.0;
    if fits { value as i32 } else { i32::MIN }
}

fn natural(value: f64) -> u64 {
    if value >= 9_223_372_036_854_775_808.0 { value as u64 } else { truncated(value) as u64 }
}
