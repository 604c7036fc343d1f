//! Finds out which operators and inputs an ONNX file has, without reading its tensors.
//!
//! An ONNX file is a protocol buffer: fields with a number, and a length by which they can be
//! skipped. The nodes are small beside the tensors.

use std::io::{self, BufReader, Read, Seek};

/// The domain of operators for tables: trees, linear models, scalers, encoders.
const ML: &[u8] = b"ai.onnx.ml";

/// The input of networks that read texts as numbers of tokens.
const TOKENS: &[u8] = b"input_ids";

/// The most messages within each other. A graph in a node of a graph adds three.
const MAX_DEPTH: usize = 64;

/// The depth of the inputs of the file's own graph.
const INPUT_DEPTH: usize = 2;

/// A message of `onnx.proto` that contains nodes or is an input.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    /// A function that the model defines.
    Function,
    Node,
    /// An attribute of a node, such as the branches of an `If`.
    Attribute,
    Input,
}

/// A field of a message.
enum Field {
    Message(Message),
    Text(Text),
}

/// A text that a file is searched for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    NodeDomain,
    InputName,
}

impl Message {
    /// Returns the content of a field, by its number in `onnx.proto`; `None` if no text that is
    /// searched for is in it.
    fn field(self, number: u64) -> Option<Field> {
        let message = match (self, number) {
            (Message::Node, 7) => return Some(Field::Text(Text::NodeDomain)),
            (Message::Input, 1) => return Some(Field::Text(Text::InputName)),
            (Message::Model, 7) | (Message::Attribute, 6 | 11) => Message::Graph,
            (Message::Model, 25) => Message::Function,
            (Message::Graph, 1) | (Message::Function, 7) => Message::Node,
            (Message::Graph, 11) => Message::Input,
            (Message::Node, 5) => Message::Attribute,
            _ => return None,
        };
        Some(Field::Message(message))
    }
}

/// Returns true if a node is of the domain `ai.onnx.ml`: in the file's graph, in a graph within a
/// node, or in a function. Of a damaged file the part before the damage counts.
pub(super) fn uses_ml(file: impl Read + Seek, size: u64) -> io::Result<bool> {
    has(file, size, (Text::NodeDomain, ML), MAX_DEPTH)
}

/// Returns true if the file's graph has the input of networks that read tokens. Of a damaged file
/// the part before the damage counts.
pub(super) fn reads_tokens(file: impl Read + Seek, size: u64) -> io::Result<bool> {
    has(file, size, (Text::InputName, TOKENS), INPUT_DEPTH)
}

fn has(
    mut file: impl Read + Seek,
    size: u64,
    sought: (Text, &[u8]),
    depth: usize,
) -> io::Result<bool> {
    file.rewind()?;
    let mut fields = Fields { file: BufReader::new(file), at: 0, sought };
    match fields.find(Message::Model, size, depth) {
        Ok(found) => Ok(found),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// A walk over the fields of a protocol buffer.
struct Fields<'a, R> {
    file: BufReader<R>,
    at: u64,
    /// The text that is searched for, and its content, which is short.
    sought: (Text, &'a [u8]),
}

impl<R: Read + Seek> Fields<'_, R> {
    /// Returns true if a message has the text. The message ends at `end`. Messages more than
    /// `depth` levels below it are skipped.
    fn find(&mut self, message: Message, end: u64, depth: usize) -> io::Result<bool> {
        let (text, content) = self.sought;
        while self.at < end {
            let Some((number, length)) = self.next(end)? else { return Ok(false) };
            let field_end = self.at + length;
            let is_found = match message.field(number) {
                Some(Field::Text(found)) if found == text && length == content.len() as u64 => {
                    self.read(content.len())? == content
                }
                Some(Field::Message(inner)) if depth > 0 => {
                    self.find(inner, field_end, depth - 1)?
                }
                _ => false,
            };
            if is_found {
                return Ok(true);
            }
            self.skip_to(field_end)?;
        }

        Ok(false)
    }

    /// Reads a short content.
    fn read(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut content = vec![0; length];
        self.file.read_exact(&mut content)?;
        self.at += length as u64;
        Ok(content)
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

    /// A node `If` with a graph in its attribute `then_branch`.
    fn branch(graph: &[u8]) -> Vec<u8> {
        let attribute = [field(1, b"then_branch"), field(6, graph)].concat();
        [field(4, b"If"), field(5, &attribute)].concat()
    }

    fn ml_node() -> Vec<u8> {
        [field(4, b"Scaler"), field(7, ML)].concat()
    }

    #[test]
    fn nodes_within_nodes_and_functions_count() {
        let graph = field(1, &branch(&field(1, &ml_node())));
        assert!(uses(&field(7, &graph)));
        let graphs = field(5, &field(11, &field(1, &ml_node())));
        assert!(uses(&field(7, &field(1, &graphs))));

        let function = [field(1, b"scale"), field(7, &ml_node())].concat();
        let number = [0xca, 1, function.len() as u8];
        assert!(uses(&[field(7, b""), number.to_vec(), function].concat()));

        assert!(!uses(&field(7, &field(1, &branch(&field(5, &ml_node()))))));
    }

    #[test]
    fn the_depth_of_graphs_is_bounded() {
        let length = |content: &[u8]| {
            let [low, high] = [content.len() as u8 | 0x80, (content.len() >> 7) as u8];
            [low, high]
        };
        let wrap = |number: u8, content: &[u8]| {
            [&[number << 3 | 2][..], &length(content), content].concat()
        };
        let nested = |levels: usize| {
            (0..levels).fold(wrap(1, &ml_node()), |graph, _| wrap(1, &wrap(5, &wrap(6, &graph))))
        };
        assert!(uses(&wrap(7, &nested(20))));
        assert!(!uses(&wrap(7, &nested(200))));
    }

    #[test]
    fn an_input_of_a_graph_within_a_node_reads_no_tokens() {
        let inner = field(11, &field(1, TOKENS));
        let bytes = field(7, &field(1, &branch(&inner)));
        assert!(!reads_tokens(Cursor::new(&bytes), bytes.len() as u64).unwrap());
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
