//! Numbers as strings, and strings as numbers.

use wardian_sdk::{Error, OrError};

use super::cast::cast;
use crate::tensor::{Data, ElementType, Text, collect};

/// Significant digits of a written `f32`, as ONNX Runtime's `%.8g`. Some neighbours are written
/// alike: nine digits would be needed.
const FLOAT_DIGITS: usize = 8;
/// Significant digits of a written `f64`, enough to tell it from every other.
const DOUBLE_DIGITS: usize = 17;

/// Writes numbers as ONNX Runtime does: fractions as C's `%.8g` and `%.17g`.
///
/// # Errors
/// Rejected if there is not enough memory.
pub(super) fn to_texts(data: &Data) -> Result<Vec<Text>, Error> {
    macro_rules! integers {
        ($($variant:ident),*) => {
            match data {
                $(Data::$variant(values) => collect(values.iter().map(|v| v.to_string().into())),)*
                Data::F32(values) => {
                    collect(values.iter().map(|v| fraction((*v).into(), FLOAT_DIGITS)))
                }
                Data::F64(values) => collect(values.iter().map(|v| fraction(*v, DOUBLE_DIGITS))),
                Data::F16(values) => collect(values.iter().map(|v| fraction(v.to_f64(), FLOAT_DIGITS))),
                Data::Bf16(values) => collect(values.iter().map(|v| fraction(v.to_f64(), FLOAT_DIGITS))),
                Data::Bool(values) => collect(values.iter().map(|v| u8::from(*v).to_string().into())),
                Data::Text(values) => Ok(values.clone()),
            }
        };
    }
    integers!(I64, I32, I16, I8, U64, U32, U16, U8)
}

/// Writes a number with this many digits at most, without zeros at the end.
pub fn fraction(value: f64, digits: usize) -> Text {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "INF" } else { "-INF" }.into();
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific.into() };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..digits as i32).contains(&exponent) {
        let decimals = usize::try_from(digits as i32 - 1 - exponent).unwrap_or_default();
        return without_zeros(&format!("{value:.decimals$}")).into();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.abs()).into()
}

fn without_zeros(number: &str) -> &str {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

/// Reads numbers.
///
/// # Errors
/// Rejected if a text is none; it is not repeated, as others might see it.
pub(super) fn from_texts(values: &[Text], to: ElementType) -> Result<Data, Error> {
    let fractions = || values.iter().map(|text| parse_fraction(text));
    match to {
        ElementType::F32 => {
            let numbers = values.iter().map(|text| parse::<f32>(text));
            Ok(Data::F32(numbers.collect::<Result<_, _>>()?))
        }
        ElementType::F64 | ElementType::F16 | ElementType::Bf16 => {
            cast(&Data::F64(fractions().collect::<Result<_, _>>()?), to)
        }
        ElementType::U64 => {
            let numbers = values.iter().map(|text| parse::<u64>(text));
            Ok(Data::U64(numbers.collect::<Result<_, _>>()?))
        }
        ElementType::Bool | ElementType::Text => Err(Error::failed("strings cannot become this")),
        _ => {
            let numbers = values.iter().map(|text| parse::<i64>(text));
            cast(&Data::I64(numbers.collect::<Result<_, _>>()?), to)
        }
    }
}

fn parse_fraction(text: &str) -> Result<f64, Error> {
    parse(text)
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, Error> {
    let number = text.trim_ascii().parse().ok();
    number.or_rejected("a string is not a number of this type")
}
