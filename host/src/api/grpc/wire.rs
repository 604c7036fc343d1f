//! The fields of an encoded message, one after the other, as slices of its bytes.

use bytes::{Buf, Bytes};
use prost::encoding::{WireType, decode_key, decode_varint};

/// A field of a message.
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) value: Value,
}

/// The encoded value of a field.
pub(super) enum Value {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    /// A text, bytes, a message or packed numbers.
    Bytes(Bytes),
}

/// Iterates over the fields of a message. An error ends the iteration.
pub(super) struct Fields {
    rest: Bytes,
}

impl Fields {
    /// Starts at the first field of `message`.
    pub(super) fn of(message: Bytes) -> Self {
        Fields { rest: message }
    }

    /// Returns the number of the next field, whose value may be cut off.
    pub(super) fn next_number(&self) -> Option<u32> {
        decode_key(&mut self.rest.clone()).ok().map(|(number, _)| number)
    }

    fn read(&mut self) -> Result<Field, String> {
        let (number, wire_type) = decode_key(&mut self.rest).map_err(malformed)?;
        let value = match wire_type {
            WireType::Varint => Value::Varint(decode_varint(&mut self.rest).map_err(malformed)?),
            WireType::ThirtyTwoBit => Value::Fixed32(self.take_array()?),
            WireType::SixtyFourBit => Value::Fixed64(self.take_array()?),
            WireType::LengthDelimited => {
                let length = decode_varint(&mut self.rest).map_err(malformed)?;
                let length = usize::try_from(length).map_err(|_| cut_off())?;
                Value::Bytes(self.take(length)?)
            }
            WireType::StartGroup | WireType::EndGroup => {
                return Err(malformed("groups are not part of the protocol"));
            }
        };
        Ok(Field { number, value })
    }

    fn take(&mut self, length: usize) -> Result<Bytes, String> {
        if length > self.rest.len() {
            return Err(cut_off());
        }
        Ok(self.rest.split_to(length))
    }

    fn take_array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], String> {
        let array = self.rest.first_chunk::<SIZE>().copied().ok_or_else(cut_off)?;
        self.rest.advance(SIZE);
        Ok(array)
    }
}

impl Iterator for Fields {
    type Item = Result<Field, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }

        let field = self.read();
        if field.is_err() {
            self.rest.clear();
        }

        Some(field)
    }
}

impl Value {
    /// Returns the bytes of a text, a message, or a list of packed numbers. Fails with a text for
    /// the caller if the field has another type.
    pub(super) fn into_bytes(self) -> Result<Bytes, String> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(malformed("a field has another type")),
        }
    }

    /// Returns a text. Fails with a text for the caller.
    pub(super) fn into_text(self) -> Result<String, String> {
        String::from_utf8(self.into_bytes()?.into()).map_err(|_| malformed("a text is not UTF-8"))
    }
}

/// Returns the error of a message that does not follow the format.
pub(super) fn malformed(error: impl std::fmt::Display) -> String {
    format!("the message is malformed: {error}")
}

fn cut_off() -> String {
    malformed("a field runs past its end")
}
