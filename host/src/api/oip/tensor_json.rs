//! A tensor's `data` in JSON: nested like the tensor's shape, or flat in row-major order.

use super::element::{ReadElement, element_reader};
use crate::api::json::{JsonError, Reader};
use crate::model::Datatype;

/// Reads the `data` of a tensor into the byte layout of a [`Tensor`].
///
/// Each number is rounded once, from text to datatype. Numbers beyond the datatype's range,
/// fractions for integer datatypes and values of other kinds are errors.
///
/// [`Tensor`]: crate::model::Tensor
pub(in crate::api) fn read_data(
    reader: &mut Reader<'_>,
    datatype: Datatype,
    shape: &[u64],
) -> Result<Vec<u8>, JsonError> {
    read_data_with(reader, datatype, shape, element_reader(datatype))
}

/// Like [`read_data`], with another way to read an element.
pub(in crate::api) fn read_data_with(
    reader: &mut Reader<'_>,
    datatype: Datatype,
    shape: &[u64],
    read: ReadElement,
) -> Result<Vec<u8>, JsonError> {
    let mut data = Vec::new();
    append_data(reader, datatype, shape, read, &mut data)?;
    Ok(data)
}

/// Like [`read_data_with`], at the end of `data`.
pub(in crate::api) fn append_data(
    reader: &mut Reader<'_>,
    datatype: Datatype,
    shape: &[u64],
    read: ReadElement,
    data: &mut Vec<u8>,
) -> Result<(), JsonError> {
    let expected =
        shape.iter().try_fold(1u64, |product, &dimension| product.checked_mul(dimension));
    let expected = expected.ok_or_else(|| reader.error(format!("shape {shape:?} is too large")))?;
    data.reserve(capacity(datatype, expected, reader.remaining()));

    ElementReader { shape, read, expected, count: 0, data }.read_all(reader)
}

/// Capacity for the elements in bytes, bounded by the length of the text, because the shape alone
/// can claim any size.
fn capacity(datatype: Datatype, expected: u64, text: usize) -> usize {
    let elements = usize::try_from(expected).unwrap_or(usize::MAX).min(text / 2 + 1);
    elements.saturating_mul(datatype.size().unwrap_or(4) as usize)
}

struct ElementReader<'s> {
    shape: &'s [u64],
    read: ReadElement,
    expected: u64,
    count: u64,
    data: &'s mut Vec<u8>,
}

impl ElementReader<'_> {
    fn read_all(&mut self, reader: &mut Reader<'_>) -> Result<(), JsonError> {
        if self.shape.is_empty() && reader.peek() != Some(b'[') {
            return self.element(reader);
        }

        if self.shape.len() > 1 && starts_nested(reader) {
            return self.nested(reader, 0);
        }

        reader.array(|reader| self.element(reader))?;
        if self.count != self.expected {
            return Err(reader.error(format!(
                "it has {} elements, but {}",
                self.count,
                self.expected_count_text()
            )));
        }

        Ok(())
    }

    fn nested(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<(), JsonError> {
        let Some(&length) = self.shape.get(depth) else { return self.element(reader) };
        let mut seen = 0;
        reader.array(|reader| {
            seen += 1;
            if seen > length {
                return Err(self.wrong_length(reader, depth, "more"));
            }
            self.nested(reader, depth + 1)
        })?;

        if seen < length {
            return Err(self.wrong_length(reader, depth, "fewer"));
        }

        Ok(())
    }

    #[inline]
    fn element(&mut self, reader: &mut Reader<'_>) -> Result<(), JsonError> {
        if self.count == self.expected {
            return Err(
                reader.error(format!("it has more elements, but {}", self.expected_count_text()))
            );
        }

        self.count += 1;
        (self.read)(reader, self.data)
    }

    #[cold]
    fn expected_count_text(&self) -> String {
        format!("shape {:?} takes {}", self.shape, self.expected)
    }

    #[cold]
    fn wrong_length(&self, reader: &Reader<'_>, depth: usize, much: &str) -> JsonError {
        let length = self.shape.get(depth).copied().unwrap_or_default();
        reader.error(format!(
            "an array has {much} than the {length} entries of dimension {depth} in {:?}",
            self.shape
        ))
    }
}

/// True if the next array contains arrays.
fn starts_nested(reader: &Reader<'_>) -> bool {
    let mut ahead = reader.clone();
    ahead.consume_array_start() && ahead.peek() == Some(b'[')
}
