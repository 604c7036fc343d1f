//! The reader of UBJSON, the binary form of JSON.
//!
//! Every length and count is compared with the bytes that are left before anything is allocated.

use std::fmt;

use super::{ArrayBuilder, MAX_DEPTH, ObjectBuilder, Value, is_skipped, shown};

/// The fault of the bytes, and its place.
#[derive(Debug)]
pub(super) struct Fault {
    text: String,
    position: usize,
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

/// The type and number of a container's elements, as far as they stand before them.
#[derive(Clone, Copy, Default)]
struct Header {
    /// The type of every element; otherwise each names its own.
    kind: Option<u8>,
    /// The number of elements; otherwise a mark ends them.
    count: Option<usize>,
}

/// Reads a file.
pub(super) fn read(bytes: &[u8]) -> Result<Value, Fault> {
    let mut reader = Reader { bytes, position: 0 };
    let kind = reader.marker()?;
    let value = reader.value(kind, 0)?;
    if reader.position != bytes.len() {
        return Err(reader.fault("there are bytes after the end"));
    }
    Ok(value)
}

// === impl Fault ===

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at byte {}", self.text, self.position)
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn fault(&self, text: impl Into<String>) -> Fault {
        Fault { text: text.into(), position: self.position }
    }

    fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.position)
    }

    fn take(&mut self, length: usize) -> Result<&[u8], Fault> {
        let end = self.position.checked_add(length);
        let bytes = end.and_then(|end| self.bytes.get(self.position..end));
        match (bytes, end) {
            (Some(bytes), Some(end)) => {
                self.position = end;
                Ok(bytes)
            }
            _ => Err(self.fault("the file ends too early")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    /// Takes the next byte if it is this one.
    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.position += usize::from(found);
        found
    }

    /// Takes a marker of a type; `N` has no meaning.
    fn marker(&mut self) -> Result<u8, Fault> {
        loop {
            let [marker] = self.array()?;
            if marker != b'N' {
                return Ok(marker);
            }
        }
    }

    /// Reads a value whose marker was read.
    fn value(&mut self, kind: u8, depth: usize) -> Result<Value, Fault> {
        match kind {
            b'Z' => Ok(Value::Null),
            b'T' => Ok(Value::Integer(1)),
            b'F' => Ok(Value::Integer(0)),
            b'd' => Ok(Value::Number(f32::from_be_bytes(self.array()?))),
            b'D' => Ok(Value::Number(f64::from_be_bytes(self.array()?) as f32)),
            b'C' => Ok(Value::Integer(i8::from_be_bytes(self.array()?).into())),
            b'S' => Ok(Value::Text(self.text()?)),
            b'H' => self.precise_number(),
            b'[' | b'{' if depth >= MAX_DEPTH => {
                Err(self.fault(format!("more than {MAX_DEPTH} containers inside each other")))
            }
            b'[' => self.elements(depth + 1),
            b'{' => self.entries(depth + 1),
            _ => Ok(Value::Integer(self.integer(kind)?)),
        }
    }

    /// Reads a whole number of a type.
    fn integer(&mut self, kind: u8) -> Result<i64, Fault> {
        match kind {
            b'i' => Ok(i8::from_be_bytes(self.array()?).into()),
            b'U' => Ok(u8::from_be_bytes(self.array()?).into()),
            b'I' => Ok(i16::from_be_bytes(self.array()?).into()),
            b'l' => Ok(i32::from_be_bytes(self.array()?).into()),
            b'L' => Ok(i64::from_be_bytes(self.array()?)),
            _ => Err(self.fault(format!("the type '{}' is not known", kind.escape_ascii()))),
        }
    }

    /// Reads a length in bytes or a number of elements, of which each has at least a byte.
    fn length(&mut self) -> Result<usize, Fault> {
        let kind = self.marker()?;
        let length = self.integer(kind)?;
        match usize::try_from(length) {
            Ok(length) if length <= self.left() => Ok(length),
            _ => Err(self.fault(format!("a length of {length} with {} bytes left", self.left()))),
        }
    }

    fn text(&mut self) -> Result<String, Fault> {
        let length = self.length()?;
        let bytes = self.take(length)?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.fault("a text that is not UTF-8"))
    }

    /// Reads a number that is written in decimal.
    fn precise_number(&mut self) -> Result<Value, Fault> {
        let text = self.text()?;
        let integer = text.parse().map(Value::Integer);
        integer
            .or_else(|_| text.parse().map(Value::Number))
            .map_err(|_| self.fault("a number that is none"))
    }

    fn header(&mut self) -> Result<Header, Fault> {
        let kind = if self.skip(b'$') { Some(self.marker()?) } else { None };
        let count = if self.skip(b'#') { Some(self.length()?) } else { None };
        match (kind, count) {
            (Some(_), None) => Err(self.fault("a container with a type has no count")),
            // Their elements have no bytes, so nothing would bound the count.
            (Some(kind @ (b'Z' | b'T' | b'F')), _) => Err(self
                .fault(format!("a container of the type '{}' is not served", kind.escape_ascii()))),
            _ => Ok(Header { kind, count }),
        }
    }

    fn elements(&mut self, depth: usize) -> Result<Value, Fault> {
        let header = self.header()?;
        if let Header { kind: Some(kind), count: Some(count) } = header
            && let Some(array) = self.typed(kind, count)?
        {
            return Ok(array);
        }
        let mut array = ArrayBuilder::new();
        let mut number = 0;
        while self.is_before_end(header, number, b']')? {
            let kind = self.kind(header)?;
            let element = self.value(kind, depth)?;
            array.push(element).map_err(|text| self.fault(text))?;
            number += 1;
        }
        Ok(array.build())
    }

    /// Reads numbers of one type, which take no more than eight times their bytes; `None` if the
    /// type is not of numbers.
    fn typed(&mut self, kind: u8, count: usize) -> Result<Option<Value>, Fault> {
        fn all<const N: usize, T>(bytes: &[u8], number: fn([u8; N]) -> T) -> Vec<T> {
            bytes.as_chunks().0.iter().copied().map(number).collect()
        }

        let size = match kind {
            b'i' | b'U' | b'C' => 1,
            b'I' => 2,
            b'l' | b'd' => 4,
            b'L' | b'D' => 8,
            _ => return Ok(None),
        };
        let bytes = self.take(count.saturating_mul(size))?;
        Ok(Some(match kind {
            b'i' | b'C' => Value::Integers(all(bytes, |byte| i8::from_be_bytes(byte).into())),
            b'U' => Value::Integers(all(bytes, |byte| u8::from_be_bytes(byte).into())),
            b'I' => Value::Integers(all(bytes, |bytes| i16::from_be_bytes(bytes).into())),
            b'l' => Value::Integers(all(bytes, |bytes| i32::from_be_bytes(bytes).into())),
            b'L' => Value::Integers(all(bytes, i64::from_be_bytes)),
            b'd' => Value::Numbers(all(bytes, f32::from_be_bytes)),
            _ => Value::Numbers(all(bytes, |bytes| f64::from_be_bytes(bytes) as f32)),
        }))
    }

    fn entries(&mut self, depth: usize) -> Result<Value, Fault> {
        let header = self.header()?;
        let mut object = ObjectBuilder::default();
        while self.is_before_end(header, object.len(), b'}')? {
            let field = self.text()?;
            let kind = self.kind(header)?;
            let value = self.value(kind, depth)?;
            let value = if is_skipped(&field) { Value::Null } else { value };
            object.push(field, value);
        }
        let object = object
            .build()
            .map_err(|field| self.fault(format!("the field {} appears twice", shown(&field))))?;
        Ok(Value::Object(object))
    }

    /// Returns true if there is another element; otherwise takes the mark of the end, if there is
    /// one.
    fn is_before_end(&mut self, header: Header, number: usize, end: u8) -> Result<bool, Fault> {
        match header.count {
            Some(count) => Ok(number < count),
            None => {
                while self.skip(b'N') {}
                Ok(!self.skip(end))
            }
        }
    }

    /// Returns the type of the next element.
    fn kind(&mut self, header: Header) -> Result<u8, Fault> {
        header.kind.map_or_else(|| self.marker(), Ok)
    }
}
