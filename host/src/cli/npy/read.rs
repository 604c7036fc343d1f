//! Reads a file of NumPy.

use anyhow::{Context, Result, anyhow, bail, ensure};
use half::f16;

use super::{Array, MAGIC, nested};

impl Array {
    /// Parses a file. Fails for elements that are no numbers, booleans or texts.
    pub(in crate::cli) fn parse(bytes: &[u8]) -> Result<Array> {
        let rest = bytes.strip_prefix(MAGIC).context("it is no file of NumPy (.npy)")?;
        let (header, data) = split_header(rest).context("its header is cut off")?;
        let header = std::str::from_utf8(header).context("its header is no text")?;

        let descr = quoted(header, "descr").context("its elements have no single type")?;
        ensure!(
            header.contains("'fortran_order': False"),
            "its order is Fortran's; save numpy.ascontiguousarray(array)"
        );
        let shape = shape(header).context("its header has no shape")?;

        let count = shape.iter().try_fold(1usize, |product, length| product.checked_mul(*length));
        let count = count.context("its shape is too large")?;
        let elements = elements(descr, data)?;
        ensure!(
            elements.len() == count,
            "it has {} elements for the shape {shape:?}",
            elements.len()
        );

        Ok(Array { shape, elements })
    }

    /// Returns the array as nested lists of JSON, with `absent` for numbers that are not finite.
    /// Fails if there are such numbers and nothing stands for them.
    pub(in crate::cli) fn to_json(&self, absent: Option<&str>) -> Result<String> {
        let element = |element: &Option<String>| match (element, absent) {
            (Some(text), _) => Ok(text.clone()),
            (None, Some(absent)) => Ok(absent.to_owned()),
            (None, None) => {
                Err(anyhow!("it has a number that is not finite, which JSON cannot hold"))
            }
        };
        let elements = self.elements.iter().map(element).collect::<Result<Vec<_>>>()?;

        Ok(nested(&self.shape, &elements))
    }
}

/// Splits the header from the elements. Its length has two or four bytes, by the version.
fn split_header(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([major, _minor], rest) = rest.split_first_chunk::<2>()?;
    match major {
        1 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            rest.split_at_checked(u16::from_le_bytes(*length).into())
        }
        _ => {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            rest.split_at_checked(u32::from_le_bytes(*length) as usize)
        }
    }
}

/// The text of a key in the header, which is a dictionary of Python.
fn quoted<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let (_, rest) = header.split_once(&format!("'{key}': '"))?;
    rest.split('\'').next()
}

fn shape(header: &str) -> Option<Vec<usize>> {
    let (_, rest) = header.split_once("'shape': (")?;
    let (list, _) = rest.split_once(')')?;
    let lengths = list.split(',').map(str::trim).filter(|length| !length.is_empty());
    lengths.map(|length| length.parse().ok()).collect()
}

fn elements(descr: &str, data: &[u8]) -> Result<Vec<Option<String>>> {
    let finite =
        |value: f64| value.is_finite().then(|| zmij::Buffer::new().format_finite(value).to_owned());
    let decoded = match descr {
        "|b1" => chunks(data, |[byte]: [u8; 1]| Some((byte != 0).to_string()))?,
        "|u1" => chunks(data, |bytes| Some(u8::from_le_bytes(bytes).to_string()))?,
        "|i1" => chunks(data, |bytes| Some(i8::from_le_bytes(bytes).to_string()))?,
        "<u2" => chunks(data, |bytes| Some(u16::from_le_bytes(bytes).to_string()))?,
        "<i2" => chunks(data, |bytes| Some(i16::from_le_bytes(bytes).to_string()))?,
        "<u4" => chunks(data, |bytes| Some(u32::from_le_bytes(bytes).to_string()))?,
        "<i4" => chunks(data, |bytes| Some(i32::from_le_bytes(bytes).to_string()))?,
        "<u8" => chunks(data, |bytes| Some(u64::from_le_bytes(bytes).to_string()))?,
        "<i8" => chunks(data, |bytes| Some(i64::from_le_bytes(bytes).to_string()))?,
        // As doubles, which hold every narrower number.
        "<f2" => chunks(data, |bytes| finite(f16::from_le_bytes(bytes).to_f64()))?,
        "<f4" => chunks(data, |bytes| finite(f32::from_le_bytes(bytes).into()))?,
        "<f8" => chunks(data, |bytes| finite(f64::from_le_bytes(bytes)))?,
        _ => match descr.strip_prefix("<U").and_then(|length| length.parse::<usize>().ok()) {
            Some(length) => texts(data, length)?,
            None => bail!(
                "its elements are {descr}; numbers of little-endian order, booleans and texts are read"
            ),
        },
    };

    Ok(decoded)
}

fn chunks<const SIZE: usize>(
    data: &[u8],
    decode: impl Fn([u8; SIZE]) -> Option<String>,
) -> Result<Vec<Option<String>>> {
    let (elements, rest) = data.as_chunks();
    ensure!(rest.is_empty(), "its last element is cut off");
    Ok(elements.iter().map(|bytes| decode(*bytes)).collect())
}

/// Reads texts of four bytes a character, filled up with zeros.
fn texts(data: &[u8], length: usize) -> Result<Vec<Option<String>>> {
    ensure!(length > 0, "its texts have no length");
    let (characters, rest) = data.as_chunks::<4>();
    ensure!(rest.is_empty(), "its last element is cut off");

    let text = |characters: &[[u8; 4]]| {
        let characters = characters.iter().map(|bytes| char::from_u32(u32::from_le_bytes(*bytes)));
        let text: Option<String> = characters.collect();
        let text = text.context("it has a character that does not exist")?;
        Ok(Some(serde_json::to_string(text.trim_end_matches('\0'))?))
    };
    characters.chunks(length).map(text).collect()
}
