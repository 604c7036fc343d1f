//! Reads an XML response element by element, without interpreting the elements.

use std::collections::BTreeMap;
use std::ops::Range;

use quick_xml::NsReader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;

/// Maximum nesting depth: more than twice that of any protocol.
const MAX_DEPTH: usize = 16;
/// Maximum number of characters of a name in an error text.
const MAX_SHOWN: usize = 64;

/// The required root element.
pub(super) struct ExpectedRoot {
    pub(super) name: &'static str,
    /// `None` if stores differ.
    pub(super) namespace: Option<&'static str>,
}

/// A complete element.
pub(super) struct Element<'a> {
    /// Local names from below the root to the element, as in `Contents/Key`.
    pub(super) path: &'a str,
    /// Direct text content; `None` if it is not text.
    pub(super) text: Option<String>,
    /// Byte range in the document, tags included.
    pub(super) span: Range<usize>,
}

/// An element whose end has not been read.
struct OpenElement {
    start: usize,
    /// Length of the path without this element.
    outer: usize,
    text: Option<String>,
}

/// Reads a document to its end and passes each element below the root to `ended`. Returns the
/// attributes of the root. Fails if the document is incomplete or has another root, or if `ended`
/// fails.
pub(super) fn read(
    xml: &[u8],
    expected: &ExpectedRoot,
    mut ended: impl FnMut(Element<'_>) -> Result<(), String>,
) -> Result<BTreeMap<String, String>, String> {
    let mut reader = NsReader::from_reader(xml);
    let (attributes, is_empty) = read_root(&mut reader, expected)?;
    let mut open: Vec<OpenElement> = Vec::new();
    let mut path = String::new();
    let mut is_closed = is_empty;

    loop {
        let start = position(&reader);
        let event =
            reader.read_event().map_err(|error| format!("it is not well-formed XML: {error}"))?;

        match event {
            Event::Start(_) | Event::Empty(_) if is_closed => {
                return Err("it has more than one root element".into());
            }
            Event::Start(element) => {
                if open.len() == MAX_DEPTH {
                    return Err(format!("its elements are nested more than {MAX_DEPTH} deep"));
                }
                open.push(enter(&mut path, &element, start));
            }
            Event::Empty(element) => {
                let element = enter(&mut path, &element, start);
                leave(&mut path, element, position(&reader), &mut ended)?;
            }
            Event::End(_) => match open.pop() {
                Some(element) => leave(&mut path, element, position(&reader), &mut ended)?,
                None => is_closed = true,
            },
            Event::Text(text) => append(&mut open, text.decode().ok().as_deref()),
            Event::CData(text) => append(&mut open, text.decode().ok().as_deref()),
            Event::GeneralRef(entity) => append(&mut open, resolve(&entity).as_deref()),
            Event::Eof if is_closed => return Ok(attributes),
            Event::Eof => return Err("it is truncated".into()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// Reads up to the root element. Returns its attributes, and true if it is empty.
fn read_root(
    reader: &mut NsReader<&[u8]>,
    expected: &ExpectedRoot,
) -> Result<(BTreeMap<String, String>, bool), String> {
    loop {
        let (namespace, event) =
            reader.read_resolved_event().map_err(|error| format!("it is not XML: {error}"))?;
        let (root, is_empty) = match &event {
            Event::Start(root) => (root, false),
            Event::Empty(root) => (root, true),
            Event::Text(text) if !text.trim_ascii().is_empty() => {
                return Err("it is not XML".into());
            }
            Event::Eof => return Err("it is empty".into()),
            _ => continue,
        };

        let name = local(root);
        if name != expected.name {
            return Err(format!(
                "it is a document <{}>, where <{}> is expected",
                printable(&name),
                expected.name
            ));
        }

        if let Some(wanted) = expected.namespace
            && !matches!(namespace, ResolveResult::Bound(found) if found.as_ref() == wanted.as_bytes())
        {
            return Err(format!("<{name}> is not in the namespace {wanted}"));
        }

        return Ok((attributes(root), is_empty));
    }
}

fn attributes(element: &BytesStart<'_>) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let pairs = element.attributes().flatten();
    pairs.map(|pair| (text(pair.key.as_ref()), text(&pair.value))).collect()
}

fn enter(path: &mut String, element: &BytesStart<'_>, start: usize) -> OpenElement {
    let outer = path.len();
    if outer > 0 {
        path.push('/');
    }

    path.push_str(&local(element));
    // Azure encodes names that XML cannot hold, and marks them with this attribute.
    let is_encoded = element.attributes().flatten().any(|pair| pair.key.as_ref() == b"Encoded");

    OpenElement { start, outer, text: (!is_encoded).then(String::new) }
}

fn leave(
    path: &mut String,
    OpenElement { start, outer, text }: OpenElement,
    end: usize,
    ended: &mut impl FnMut(Element<'_>) -> Result<(), String>,
) -> Result<(), String> {
    ended(Element { path: path.as_str(), text, span: start..end })?;
    path.truncate(outer);
    Ok(())
}

fn append(open: &mut [OpenElement], piece: Option<&str>) {
    let Some(element) = open.last_mut() else { return };
    element.text = match (element.text.take(), piece) {
        (Some(text), Some(piece)) => Some(text + piece),
        _ => None,
    };
}

fn resolve(entity: &BytesRef<'_>) -> Option<String> {
    if entity.is_char_ref() {
        return entity.resolve_char_ref().ok().flatten().map(String::from);
    }
    resolve_predefined_entity(&entity.decode().ok()?).map(str::to_owned)
}

fn position(reader: &NsReader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn local(element: &BytesStart<'_>) -> String {
    String::from_utf8_lossy(element.local_name().as_ref()).into_owned()
}

/// Returns text from a store in printable form, for an error text.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(MAX_SHOWN).collect()
}
