//! Writes a file of NumPy.

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use half::f16;

use super::MAGIC;

/// Returns the file of an array with the protocol's datatype. `elements` are JSON. Fails for an
/// element that does not have the datatype.
pub(in crate::cli) fn file(datatype: &str, shape: &[usize], elements: &[&str]) -> Result<Vec<u8>> {
    let (descr, data) = encode(datatype, elements)?;
    let header = header(&descr, shape);

    // The elements begin at a multiple of 64.
    let begin = (MAGIC.len() + 4 + header.len() + 1).next_multiple_of(64);
    let length = begin - MAGIC.len() - 4;

    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&[1, 0]);
    file.extend_from_slice(&u16::try_from(length).context("its shape is too long")?.to_le_bytes());
    file.extend_from_slice(format!("{header:<width$}\n", width = length - 1).as_bytes());
    file.extend_from_slice(&data);

    Ok(file)
}

/// The header is a dictionary of Python.
fn header(descr: &str, shape: &[usize]) -> String {
    let lengths: String = shape.iter().map(|length| format!("{length}, ")).collect();
    let lengths =
        if shape.len() == 1 { lengths.trim_end() } else { lengths.trim_end_matches(", ") };

    format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({lengths}), }}")
}

/// Returns the name that NumPy has for the datatype, and the bytes of the elements.
fn encode(datatype: &str, elements: &[&str]) -> Result<(String, Vec<u8>)> {
    let (descr, data) = match datatype {
        "BOOL" => ("|b1", numbers(elements, |value: bool| [u8::from(value)])?),
        "UINT8" => ("|u1", numbers(elements, u8::to_le_bytes)?),
        "INT8" => ("|i1", numbers(elements, i8::to_le_bytes)?),
        "UINT16" => ("<u2", numbers(elements, u16::to_le_bytes)?),
        "INT16" => ("<i2", numbers(elements, i16::to_le_bytes)?),
        "UINT32" => ("<u4", numbers(elements, u32::to_le_bytes)?),
        "INT32" => ("<i4", numbers(elements, i32::to_le_bytes)?),
        "UINT64" => ("<u8", numbers(elements, u64::to_le_bytes)?),
        "INT64" => ("<i8", numbers(elements, i64::to_le_bytes)?),
        "FP16" => ("<f2", numbers(elements, |value| f16::from_f64(value).to_le_bytes())?),
        // NumPy has no BF16. FP32 holds each of its numbers.
        "FP32" | "BF16" => ("<f4", numbers(elements, f32::to_le_bytes)?),
        "FP64" => ("<f8", numbers(elements, f64::to_le_bytes)?),
        "BYTES" => return texts(elements),
        other => bail!("NumPy has no datatype for {other}"),
    };

    Ok((descr.to_owned(), data))
}

fn numbers<T: FromStr, const SIZE: usize>(
    elements: &[&str],
    to_bytes: impl Fn(T) -> [u8; SIZE],
) -> Result<Vec<u8>> {
    let mut data = Vec::with_capacity(elements.len() * SIZE);
    for element in elements {
        let value = element.parse().ok();
        let value = value.with_context(|| format!("{element} has another datatype"))?;
        data.extend_from_slice(&to_bytes(value));
    }
    Ok(data)
}

/// Texts have four bytes a character, and are filled up with zeros.
fn texts(elements: &[&str]) -> Result<(String, Vec<u8>)> {
    let decode = |element: &&str| {
        serde_json::from_str::<String>(element).with_context(|| format!("{element} is no text"))
    };
    let texts = elements.iter().map(decode).collect::<Result<Vec<_>>>()?;
    let width = texts.iter().map(|text| text.chars().count()).max().unwrap_or_default().max(1);

    let mut data = Vec::with_capacity(texts.len() * width * 4);
    for text in &texts {
        let characters = text.chars().map(u32::from).chain(std::iter::repeat(0)).take(width);
        data.extend(characters.flat_map(u32::to_le_bytes));
    }

    Ok((format!("<U{width}"), data))
}
