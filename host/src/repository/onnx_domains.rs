//! Finds out which operators and inputs an ONNX file has, without reading its tensors.
//!
//! An ONNX file is a protocol buffer: fields with a number, and a length by which they can be
//! skipped. The nodes are small beside the tensors.

use std::io::{self, BufReader, Read, Seek};

/// The domain of operators for tables: trees, linear models, scalers, encoders.
const ML: &[u8] = b"ai.onnx.ml";

/// The input of networks that read texts as numbers of tokens.
const TOKENS: &[u8] = b"input_ids";

/// Numbers of fields in `onnx.proto`.
const MODEL_GRAPH: u64 = 7;
const GRAPH_NODE: u64 = 1;
const GRAPH_INPUT: u64 = 11;
const NODE_DOMAIN: u64 = 7;
const INPUT_NAME: u64 = 1;

/// Returns true if a node of the file's graph is of the domain `ai.onnx.ml`. Of a damaged file the
/// part before the damage counts.
pub(super) fn uses_ml(file: impl Read + Seek, size: u64) -> io::Result<bool> {
    has(file, size, &[MODEL_GRAPH, GRAPH_NODE, NODE_DOMAIN], ML)
}

/// Returns true if the file's graph has the input of networks that read tokens. Of a damaged file
/// the part before the damage counts.
pub(super) fn reads_tokens(file: impl Read + Seek, size: u64) -> io::Result<bool> {
    has(file, size, &[MODEL_GRAPH, GRAPH_INPUT, INPUT_NAME], TOKENS)
}

fn has(mut file: impl Read + Seek, size: u64, path: &[u64], value: &[u8]) -> io::Result<bool> {
    file.rewind()?;
    let mut fields = Fields { file: BufReader::new(file), at: 0, value };
    match fields.find(size, path) {
        Ok(found) => Ok(found),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// A walk over the fields of a protocol buffer.
struct Fields<'a, R> {
    file: BufReader<R>,
    at: u64,
    /// The content that is looked for; short.
    value: &'a [u8],
}

impl<R: Read + Seek> Fields<'_, R> {
    /// Returns true if a field with these numbers, one inside the other, has the value. The message
    /// ends at `end`.
    fn find(&mut self, end: u64, path: &[u64]) -> io::Result<bool> {
        while self.at < end {
            let Some((number, length)) = self.next(end)? else { return Ok(false) };
            let field_end = self.at + length;
            match path {
                [wanted] if *wanted == number && length == self.value.len() as u64 => {
                    let mut content = vec![0; self.value.len()];
                    self.file.read_exact(&mut content)?;
                    if content == self.value {
                        return Ok(true);
                    }
                    self.at = field_end;
                }
                [wanted, inner @ ..] if *wanted == number && !inner.is_empty() => {
                    if self.find(field_end, inner)? {
                        return Ok(true);
                    }
                    self.skip_to(field_end)?;
                }
                _ => self.skip_to(field_end)?,
            }
        }

        Ok(false)
    }

    /// Returns the number of the next field and the length of its content, which follows; `None` if
    /// it is not within the message.
    fn next(&mut self, end: u64) -> io::Result<Option<(u64, u64)>> {
        let Some(key) = self.varint()? else { return Ok(None) };
        let length = match key & 7 {
            0 => self.varint()?.map(|_| 0),
            1 => Some(8),
            2 => self.varint()?,
            5 => Some(4),
            _ => None,
        };

        let fits = |length: &u64| end.checked_sub(self.at).is_some_and(|left| *length <= left);
        Ok(length.filter(fits).map(|length| (key >> 3, length)))
    }

    /// Reads a number of variable length; `None` if it has more than 64 bits.
    fn varint(&mut self) -> io::Result<Option<u64>> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.file.read_exact(&mut byte)?;
            self.at += 1;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(Some(value));
            }
        }

        Ok(None)
    }

    fn skip_to(&mut self, end: u64) -> io::Result<()> {
        let distance = end.saturating_sub(self.at);
        self.file.seek_relative(i64::try_from(distance).unwrap_or(i64::MAX))?;
        self.at = end;
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;

    use super::*;

    /// A field of bytes.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        assert!(content.len() < 128);
        [&[number << 3 | 2, content.len() as u8], content].concat()
    }

    /// A file whose graph has an initializer and nodes of these domains.
    pub(in crate::repository) fn file(domains: &[&str]) -> Vec<u8> {
        let node = |domain: &&str| {
            let node = [field(4, b"Op"), field(7, domain.as_bytes())].concat();
            field(1, &node)
        };
        let tensor = field(5, &field(9, ML));
        let graph = [tensor, domains.iter().flat_map(node).collect()].concat();
        [b"\x08\x08".to_vec(), field(2, b"skl2onnx"), field(7, &graph), field(8, ML)].concat()
    }

    /// A file whose graph has these inputs.
    pub(in crate::repository) fn network(inputs: &[&str]) -> Vec<u8> {
        let input = |name: &&str| field(11, &field(1, name.as_bytes()));
        let graph = [field(5, &field(9, TOKENS)), inputs.iter().flat_map(input).collect()].concat();
        [b"\x08\x08".to_vec(), field(2, b"pytorch"), field(7, &graph)].concat()
    }

    #[test]
    fn the_input_of_tokens_is_found_by_its_name() {
        let reads = |bytes: &[u8]| reads_tokens(Cursor::new(bytes), bytes.len() as u64).unwrap();
        assert!(reads(&network(&["attention_mask", "input_ids"])));
        assert!(!reads(&network(&["input_idx", "image"])));
        assert!(!reads(&file(&["input_ids"])));
    }

    fn uses(bytes: &[u8]) -> bool {
        uses_ml(Cursor::new(bytes), bytes.len() as u64).unwrap()
    }

    #[test]
    fn the_domain_of_a_node_counts_and_neither_a_tensor_nor_an_import() {
        assert!(uses(&file(&["ai.onnx.ml"])));
        assert!(uses(&file(&["", "com.microsoft", "ai.onnx.ml"])));
        assert!(!uses(&file(&[])));
        assert!(!uses(&file(&["", "ai.onnx.mm", "ai.onnx"])));
    }

    #[test]
    fn damaged_files_are_read_to_their_damage() {
        let whole = file(&["", "ai.onnx.ml"]);
        for end in 0..whole.len() {
            let _ = uses(&whole[..end]);
        }
        for index in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[index] = 0xff;
            let _ = uses(&damaged);
        }
        assert!(!uses(&[8, 8, 0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]));
    }
}
