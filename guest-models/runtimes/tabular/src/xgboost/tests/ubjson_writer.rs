//! A writer of UBJSON, in any of the forms that a value may have.

use serde_json::Value;

/// Writes a document. `style` chooses among forms.
pub(super) fn ubjson(value: &Value, style: u64) -> Vec<u8> {
    let mut writer = Writer { bytes: Vec::new(), style: style | 1 };
    writer.value(value);
    writer.bytes
}

struct Writer {
    bytes: Vec<u8>,
    style: u64,
}

impl Writer {
    /// Returns one of the first `count` numbers.
    fn choice(&mut self, count: u64) -> u64 {
        self.style ^= self.style << 13;
        self.style ^= self.style >> 7;
        self.style ^= self.style << 17;
        self.style % count
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.bytes.push(b'Z'),
            Value::Bool(true) => self.bytes.push(b'T'),
            Value::Bool(false) => self.bytes.push(b'F'),
            Value::Number(number) => match number.as_i64() {
                Some(integer) => self.integer(integer),
                None => self.number(number.as_f64().unwrap()),
            },
            Value::String(text) if self.choice(8) == 0 && text.parse::<i64>().is_ok() => {
                self.bytes.push(b'S');
                self.text(text);
            }
            Value::String(text) => {
                self.bytes.push(b'S');
                self.text(text);
            }
            Value::Array(values) => self.array(values),
            Value::Object(entries) => {
                self.bytes.push(b'{');
                let is_counted = self.choice(2) == 0;
                if is_counted {
                    self.bytes.push(b'#');
                    self.integer(entries.len() as i64);
                }
                for (field, value) in entries {
                    self.text(field);
                    self.value(value);
                }
                if !is_counted {
                    self.bytes.push(b'}');
                }
            }
        }
    }

    fn integer(&mut self, integer: i64) {
        let narrow = self.choice(2) == 0;
        match (i8::try_from(integer), u8::try_from(integer), i32::try_from(integer)) {
            (Ok(byte), _, _) if narrow => self.bytes.extend([b'i', byte.cast_unsigned()]),
            (_, Ok(byte), _) if narrow => self.bytes.extend([b'U', byte]),
            (_, _, Ok(integer)) => {
                self.bytes.push(b'l');
                self.bytes.extend(integer.to_be_bytes());
            }
            _ => {
                self.bytes.push(b'L');
                self.bytes.extend(integer.to_be_bytes());
            }
        }
    }

    fn number(&mut self, number: f64) {
        match self.choice(3) {
            0 => {
                self.bytes.push(b'd');
                self.bytes.extend((number as f32).to_be_bytes());
            }
            1 => {
                self.bytes.push(b'D');
                self.bytes.extend(number.to_be_bytes());
            }
            _ => {
                self.bytes.push(b'H');
                self.text(&format!("{number:e}"));
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.integer(text.len() as i64);
        self.bytes.extend(text.as_bytes());
    }

    fn array(&mut self, values: &[Value]) {
        self.bytes.push(b'[');
        let integers: Option<Vec<i64>> = values.iter().map(Value::as_i64).collect();
        let numbers: Option<Vec<f64>> = values.iter().map(Value::as_f64).collect();
        match (integers, numbers, self.choice(3)) {
            (Some(integers), _, 0) => {
                self.header(b'L', values.len());
                integers.iter().for_each(|integer| self.bytes.extend(integer.to_be_bytes()));
            }
            (_, Some(numbers), 0) => {
                self.header(b'd', values.len());
                let floats = numbers.iter().map(|number| (*number as f32).to_be_bytes());
                floats.for_each(|bytes| self.bytes.extend(bytes));
            }
            (_, _, 1) => {
                self.bytes.push(b'#');
                self.integer(values.len() as i64);
                values.iter().for_each(|value| self.value(value));
            }
            _ => {
                for value in values {
                    self.value(value);
                    if self.choice(4) == 0 {
                        self.bytes.push(b'N');
                    }
                }
                self.bytes.push(b']');
            }
        }
    }

    fn header(&mut self, kind: u8, count: usize) {
        self.bytes.extend([b'$', kind, b'#', b'L']);
        self.bytes.extend((count as i64).to_be_bytes());
    }
}
