//! NumPy's `.npy` files: one array each, of numbers, booleans or texts.

use anyhow::{Context, Result, anyhow, bail, ensure};
use half::f16;

/// An array in the order of its rows.
#[derive(Debug, PartialEq)]
pub(super) struct Array {
    /// Elements along each dimension.
    pub(super) shape: Vec<usize>,
    /// The elements as JSON. A number that is not finite is `None`.
    pub(super) elements: Vec<Option<String>>,
}

const MAGIC: &[u8] = b"\x93NUMPY";

impl Array {
    /// Parses a file. Fails for elements that are no numbers, booleans or texts.
    pub(super) fn parse(bytes: &[u8]) -> Result<Array> {
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
    pub(super) fn to_json(&self, absent: Option<&str>) -> Result<String> {
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

/// Returns elements as lists of JSON that are nested in a shape.
pub(super) fn nested<T: AsRef<str>>(shape: &[usize], elements: &[T]) -> String {
    let Some((&length, inner)) = shape.split_first() else {
        return elements.first().map(|element| element.as_ref().to_owned()).unwrap_or_default();
    };
    let size = elements.len().checked_div(length).unwrap_or_default().max(1);
    let items: Vec<_> = elements.chunks(size).map(|item| nested(inner, item)).collect();

    format!("[{}]", items.join(","))
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

/// Returns the file of an array with the protocol's datatype. `elements` are JSON. Fails for an
/// element that does not have the datatype.
pub(super) fn file(datatype: &str, shape: &[usize], elements: &[&str]) -> Result<Vec<u8>> {
    let (descr, data) = match datatype {
        "BOOL" => (
            "|b1".to_owned(),
            encode(elements, |text| Some([u8::from(text.parse::<bool>().ok()?)]))?,
        ),
        "UINT8" => (
            "|u1".to_owned(),
            encode(elements, |text| Some(text.parse::<u8>().ok()?.to_le_bytes()))?,
        ),
        "INT8" => (
            "|i1".to_owned(),
            encode(elements, |text| Some(text.parse::<i8>().ok()?.to_le_bytes()))?,
        ),
        "UINT16" => (
            "<u2".to_owned(),
            encode(elements, |text| Some(text.parse::<u16>().ok()?.to_le_bytes()))?,
        ),
        "INT16" => (
            "<i2".to_owned(),
            encode(elements, |text| Some(text.parse::<i16>().ok()?.to_le_bytes()))?,
        ),
        "UINT32" => (
            "<u4".to_owned(),
            encode(elements, |text| Some(text.parse::<u32>().ok()?.to_le_bytes()))?,
        ),
        "INT32" => (
            "<i4".to_owned(),
            encode(elements, |text| Some(text.parse::<i32>().ok()?.to_le_bytes()))?,
        ),
        "UINT64" => (
            "<u8".to_owned(),
            encode(elements, |text| Some(text.parse::<u64>().ok()?.to_le_bytes()))?,
        ),
        "INT64" => (
            "<i8".to_owned(),
            encode(elements, |text| Some(text.parse::<i64>().ok()?.to_le_bytes()))?,
        ),
        "FP16" => (
            "<f2".to_owned(),
            encode(elements, |text| Some(f16::from_f64(text.parse().ok()?).to_le_bytes()))?,
        ),
        // NumPy has no BF16. FP32 holds each of its numbers.
        "FP32" | "BF16" => (
            "<f4".to_owned(),
            encode(elements, |text| Some(text.parse::<f32>().ok()?.to_le_bytes()))?,
        ),
        "FP64" => (
            "<f8".to_owned(),
            encode(elements, |text| Some(text.parse::<f64>().ok()?.to_le_bytes()))?,
        ),
        "BYTES" => encode_texts(elements)?,
        other => bail!("NumPy has no datatype for {other}"),
    };

    let lengths: String = shape.iter().map(|length| format!("{length}, ")).collect();
    let lengths =
        if shape.len() == 1 { lengths.trim_end() } else { lengths.trim_end_matches(", ") };
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({lengths}), }}");
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

fn encode<const SIZE: usize>(
    elements: &[&str],
    encode: impl Fn(&str) -> Option<[u8; SIZE]>,
) -> Result<Vec<u8>> {
    let mut data = Vec::with_capacity(elements.len() * SIZE);
    for element in elements {
        let bytes = encode(element).with_context(|| format!("{element} has another datatype"))?;
        data.extend_from_slice(&bytes);
    }
    Ok(data)
}

fn encode_texts(elements: &[&str]) -> Result<(String, Vec<u8>)> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made by `numpy.save(file, numpy.array([[1, 2.5]], dtype="float32"))` of NumPy 2.4.
    const FLOATS: &[u8] = b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }                                                          \n\0\0\x80?\0\0 @";

    #[test]
    fn a_file_of_numpy_is_read_and_written() {
        let array = Array::parse(FLOATS).unwrap();
        assert_eq!(
            (array.shape.as_slice(), array.to_json(None).unwrap().as_str()),
            (&[1, 2][..], "[[1.0,2.5]]")
        );
        assert_eq!(file("FP32", &[1, 2], &["1.0", "2.5"]).unwrap(), FLOATS);
    }

    #[test]
    fn other_files_are_refused() {
        let replaced = |from: &str, to: &str| {
            let at =
                FLOATS.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
            [&FLOATS[..at], to.as_bytes(), &FLOATS[at + from.len()..]].concat()
        };
        for (bytes, says) in [
            (b"PK\x03\x04".to_vec(), "no file of NumPy"),
            (FLOATS[..20].to_vec(), "cut off"),
            (FLOATS[..FLOATS.len() - 1].to_vec(), "cut off"),
            (replaced("False", "True "), "Fortran"),
            (replaced("<f4", ">f4"), "its elements are >f4"),
            (replaced("(1, 2)", "(2, 2)"), "2 elements for the shape [2, 2]"),
            (replaced("(1, 2)", "(x, 2)"), "no shape"),
        ] {
            let error = Array::parse(&bytes).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }

        let nan = file("FP64", &[1], &["NaN"]).unwrap();
        let array = Array::parse(&nan).unwrap();
        assert_eq!(array.to_json(Some("null")).unwrap(), "[null]");
        assert!(array.to_json(None).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(numbers in prop::collection::vec(any::<i64>(), 0..9), texts in prop::collection::vec("[a-zé\"\n]{0,5}", 0..9)) {
            let elements: Vec<_> = numbers.iter().map(i64::to_string).collect();
            let elements: Vec<_> = elements.iter().map(String::as_str).collect();
            let array = Array::parse(&file("INT64", &[numbers.len()], &elements).unwrap()).unwrap();
            prop_assert_eq!(array.to_json(None).unwrap(), format!("[{}]", elements.join(",")));

            let elements: Vec<_> = texts.iter().map(|text| serde_json::to_string(text).unwrap()).collect();
            let elements: Vec<_> = elements.iter().map(String::as_str).collect();
            let array = Array::parse(&file("BYTES", &[texts.len(), 1], &elements).unwrap()).unwrap();
            prop_assert_eq!(array.shape, vec![texts.len(), 1]);
            prop_assert_eq!(array.elements, elements.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>());
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes: Vec<u8>, header in "\\{'descr': '[<|>][a-zU][0-9]{0,3}', 'fortran_order': False, 'shape': \\([0-9, ]{0,8}\\), \\}") {
            let _ = Array::parse(&bytes);
            let length = u16::try_from(header.len()).unwrap().to_le_bytes();
            let _ = Array::parse(&[MAGIC, &[1, 0], &length, header.as_bytes(), &bytes].concat());
        }
    }
}
