//! One element of a tensor in JSON.

use half::{bf16, f16};

use crate::api::json::{JsonError, Number, Reader, shorten};
use crate::model::{Datatype, push_bytes_element};

/// Reads one element and appends its bytes.
pub(in crate::api) type ReadElement = fn(&mut Reader<'_>, &mut Vec<u8>) -> Result<(), JsonError>;

/// A notation of elements in JSON.
pub(in crate::api) trait ElementNotation {
    /// Reads a number of an integer datatype.
    fn integer<T: TryFrom<i128>>(reader: &mut Reader<'_>) -> Result<T, JsonError>;

    /// Reads a number of a floating-point datatype.
    fn float<T: Float>(reader: &mut Reader<'_>) -> Result<T, JsonError>;

    /// Reads an element of `BYTES` and appends it.
    fn bytes(reader: &mut Reader<'_>, data: &mut Vec<u8>) -> Result<(), JsonError>;
}

/// A floating-point type of a tensor.
pub(in crate::api) trait Float: Copy {
    const NAN: Self;

    /// Rounds a decimal number once.
    fn from_number(number: Number<'_>) -> Self;

    fn from_f64(value: f64) -> Self;

    fn is_finite(self) -> bool;
}

macro_rules! float {
    ($type:ty, $from_number:expr, $from_f64:expr) => {
        impl Float for $type {
            const NAN: Self = <$type>::NAN;

            #[inline]
            fn from_number(number: Number<'_>) -> Self {
                $from_number(number)
            }

            fn from_f64(value: f64) -> Self {
                $from_f64(value)
            }

            #[inline]
            fn is_finite(self) -> bool {
                self.is_finite()
            }
        }
    };
}

float!(f64, |number: Number<'_>| number.float64(), |value| value);
float!(f32, |number: Number<'_>| number.float32(), |value| value as f32);
float!(f16, |number: Number<'_>| f16::from_f64(number.float64()), f16::from_f64);
float!(bf16, |number: Number<'_>| bf16::from_f64(number.float64()), bf16::from_f64);

/// Returns the reader of an element as the protocol writes it.
pub(in crate::api) fn element_reader(datatype: Datatype) -> ReadElement {
    reader_of::<ProtocolNotation>(datatype)
}

/// Returns the reader of an element in a notation. It is chosen once for a tensor.
pub(in crate::api) fn reader_of<N: ElementNotation>(datatype: Datatype) -> ReadElement {
    match datatype {
        Datatype::Bool => |reader, data| append(data, [u8::from(reader.boolean()?)]),
        Datatype::Uint8 => |reader, data| append(data, N::integer::<u8>(reader)?.to_le_bytes()),
        Datatype::Uint16 => |reader, data| append(data, N::integer::<u16>(reader)?.to_le_bytes()),
        Datatype::Uint32 => |reader, data| append(data, N::integer::<u32>(reader)?.to_le_bytes()),
        Datatype::Uint64 => |reader, data| append(data, N::integer::<u64>(reader)?.to_le_bytes()),
        Datatype::Int8 => |reader, data| append(data, N::integer::<i8>(reader)?.to_le_bytes()),
        Datatype::Int16 => |reader, data| append(data, N::integer::<i16>(reader)?.to_le_bytes()),
        Datatype::Int32 => |reader, data| append(data, N::integer::<i32>(reader)?.to_le_bytes()),
        Datatype::Int64 => |reader, data| append(data, N::integer::<i64>(reader)?.to_le_bytes()),
        Datatype::Fp16 => |reader, data| append(data, N::float::<f16>(reader)?.to_le_bytes()),
        Datatype::Bf16 => |reader, data| append(data, N::float::<bf16>(reader)?.to_le_bytes()),
        Datatype::Fp32 => |reader, data| append(data, N::float::<f32>(reader)?.to_le_bytes()),
        Datatype::Fp64 => |reader, data| append(data, N::float::<f64>(reader)?.to_le_bytes()),
        Datatype::Bytes => N::bytes,
    }
}

#[inline]
fn append<const SIZE: usize>(data: &mut Vec<u8>, element: [u8; SIZE]) -> Result<(), JsonError> {
    data.extend_from_slice(&element);
    Ok(())
}

/// Elements as the protocol writes them.
pub(in crate::api) struct ProtocolNotation;

impl ElementNotation for ProtocolNotation {
    #[inline]
    fn integer<T: TryFrom<i128>>(reader: &mut Reader<'_>) -> Result<T, JsonError> {
        let number = reader.number()?;
        number
            .integer()
            .and_then(|value| T::try_from(value).ok())
            .ok_or_else(|| not_an_integer(reader, number))
    }

    #[inline]
    fn float<T: Float>(reader: &mut Reader<'_>) -> Result<T, JsonError> {
        let number = match reader.number() {
            Ok(number) => number,
            Err(error) => return reader.non_finite().map(T::from_f64).ok_or(error),
        };
        let value = T::from_number(number);
        if value.is_finite() { Ok(value) } else { Err(out_of_range(reader, number)) }
    }

    fn bytes(reader: &mut Reader<'_>, data: &mut Vec<u8>) -> Result<(), JsonError> {
        let element = reader.string()?;
        push_bytes_element(data, element.as_bytes()).map_err(|error| reader.error(error))
    }
}

#[cold]
fn not_an_integer(reader: &Reader<'_>, number: Number<'_>) -> JsonError {
    if number.is_whole() {
        return out_of_range(reader, number);
    }
    reader.error(format!(
        "{} is written as a fraction, and the datatype holds whole numbers",
        shorten(number.text)
    ))
}

#[cold]
fn out_of_range(reader: &Reader<'_>, number: Number<'_>) -> JsonError {
    reader.error(format!("{} is out of the datatype's range", shorten(number.text)))
}
