//! From the parts of a request to the tensors of an inference request.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use axum::body::Bytes;
use percent_encoding::percent_decode;
use url::form_urlencoded;

use super::multipart::{self, FormPart};
use super::parts::{FilledFields, PartMap, Place, Target};
use crate::api::json::{JsonError, Reader, shorten};
use crate::api::oip::parameters::{RawParameter, RawValue, read_parameter};
use crate::api::oip::request_json::DecodedRequest;
use crate::api::table::{Layout, TableBuilder, build_row};
use crate::model::{
    InferRequest, InputSource, MAX_CANDIDATES, Metadata, ModelRoute, RouteBody, hint,
};
use crate::tenant::Pacer;

/// The parts of a request apart from its body.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestHead {
    /// The values of the parameters in the path, decoded, in their order.
    pub(super) path: Vec<String>,
    /// The query, as it was sent.
    pub(super) query: String,
    /// The session of the connection that carries the request, if it is one.
    pub(super) session: Option<SessionPart>,
    /// The text between the parts of a form with files.
    pub(super) boundary: Option<String>,
}

/// The session of a connection.
#[derive(Clone, Debug)]
pub(super) struct SessionPart {
    pub(super) id: String,
    /// True if the request begins the session.
    pub(super) is_start: bool,
}

impl RequestHead {
    /// The length of the parts in bytes.
    pub(super) fn length(&self) -> usize {
        self.query.len() + self.path.iter().map(String::len).sum::<usize>()
    }
}

/// A name and its value in a query or form.
type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The parts of a request while they are read.
struct Parts<'a> {
    route: &'a ModelRoute,
    map: PartMap<'a>,
    path: &'a [String],
    query: Vec<Pair<'a>>,
    body: Body<'a>,
    /// The parameters of the request that JSON has, `None` for `null`.
    in_json: RefCell<HashMap<&'a str, Option<RawValue>>>,
    pacer: &'a Pacer,
}

enum Body<'a> {
    None,
    Json(&'a [u8]),
    Form(Vec<Pair<'a>>),
    Multipart(Vec<FormPart>),
    Raw(&'a [u8]),
}

/// Limit of the parameters of a query or form.
const MAX_PAIRS: usize = 1024;

/// Decodes a request to a route of the model with this metadata. Fails with a text for the caller
/// that names the part.
pub(super) fn decode(
    route: &ModelRoute,
    metadata: &Metadata,
    head: &RequestHead,
    body: &Bytes,
    pacer: &Pacer,
) -> Result<(DecodedRequest, Layout), String> {
    let parts = Parts {
        route,
        map: PartMap::new(route),
        path: &head.path,
        query: pairs(head.query.as_bytes(), "query")?,
        body: read_body(route, head, body)?,
        in_json: RefCell::default(),
        pacer,
    };
    parts.check_query()?;

    let label = |table: &TableBuilder<'_>, field| parts.map.label(table, field);
    let table = build_row(metadata, &label, head.length() + body.len(), |table| {
        table.begin_row()?;
        parts.fill(table)?;
        table.end_row()
    })?;

    let mut parameters = parts.parameters()?;
    if let Some(SessionPart { id, is_start }) = &head.session {
        let of = |name: &str, value| RawParameter { name: name.into(), value };
        parameters.push(of("sequence_id", RawValue::Text(id.clone())));
        parameters.push(of("sequence_start", RawValue::Boolean(*is_start)));
    }

    let mut decoded = DecodedRequest::default();
    decoded.take_server_parameters(parameters)?;
    decoded.request = InferRequest { inputs: table.inputs, ..decoded.request };

    Ok((decoded, table.layout))
}

/// Checks the parts of a request before its body. Fails with a text for the caller that names the
/// part.
pub(super) fn check_head(
    route: &ModelRoute,
    metadata: &Metadata,
    head: &RequestHead,
    pacer: &Pacer,
) -> Result<(), String> {
    let parts = Parts {
        route,
        map: PartMap::new(route),
        path: &head.path,
        query: pairs(head.query.as_bytes(), "query")?,
        body: Body::None,
        in_json: RefCell::default(),
        pacer,
    };
    parts.check_query()?;

    let label = |table: &TableBuilder<'_>, field| parts.map.label(table, field);
    // The row stays open: its other fields come with the body.
    build_row(metadata, &label, head.length(), |table| {
        table.begin_row()?;
        parts.fill(table)
    })
    .map(drop)
}

fn read_body<'a>(
    route: &ModelRoute,
    head: &RequestHead,
    body: &'a Bytes,
) -> Result<Body<'a>, String> {
    match route.body {
        RouteBody::None if body.is_empty() => Ok(Body::None),
        RouteBody::None => Err("this route takes no body, and the request has one".into()),
        RouteBody::Json => Ok(Body::Json(body)),
        RouteBody::Form => pairs(body, "form").map(Body::Form),
        RouteBody::Multipart => {
            let boundary = head.boundary.as_deref().unwrap_or_default();
            multipart::read(body, boundary, MAX_PAIRS).map(Body::Multipart)
        }
        RouteBody::Raw => Ok(Body::Raw(body)),
    }
}

/// Splits a query or form. Fails if it is not UTF-8.
fn pairs<'a>(text: &'a [u8], what: &str) -> Result<Vec<Pair<'a>>, String> {
    // The parser replaces what is not UTF-8, which would change a value.
    let pairs: Vec<_> = form_urlencoded::parse(text).take(MAX_PAIRS + 1).collect();
    if pairs.len() > MAX_PAIRS {
        return Err(format!("the {what} has more than {MAX_PAIRS} parameters"));
    }

    let replaced = |(name, value): &Pair<'_>| {
        name.contains(char::REPLACEMENT_CHARACTER) || value.contains(char::REPLACEMENT_CHARACTER)
    };
    if pairs.iter().any(replaced) && percent_decode(text).decode_utf8().is_err() {
        return Err(format!("the {what} is not UTF-8"));
    }

    Ok(pairs)
}

impl<'a> Parts<'a> {
    /// Fails if the query has a parameter that the route does not read.
    fn check_query(&self) -> Result<(), String> {
        let known = |name: &str| self.map.place(name) == Some(Place::Query);
        let Some((unknown, _)) = self.query.iter().find(|(name, _)| !known(name)) else {
            return Ok(());
        };

        let names = self.route.query.iter().map(|one| one.name.as_str());
        let hint = hint("query parameters", unknown, names);
        Err(format!("unknown query parameter '{}'{hint}", shorten(unknown)))
    }

    /// Fills the fields of the present row.
    fn fill(&self, table: &mut TableBuilder<'_>) -> Result<(), String> {
        for (input, source) in &self.route.inputs {
            if let (InputSource::Value(json), Some(field)) = (source, table.find(input)) {
                read_json(table, json, field)?;
            }
        }

        for (place, name) in self.map.named_parts() {
            let Target::Field(target) = self.map.target(name) else { continue };
            let Some(field) = table.find(target) else { continue };
            match self.values(place, name) {
                texts if !texts.is_empty() => table.read_texts(&texts, field)?,
                _ => self.fill_without_text(table, place, name, field)?,
            }
        }

        match &self.body {
            Body::Json(text) => {
                let filled = self.map.filled_fields(table);
                self.fill_from_json(table, &filled, text)
            }
            Body::Form(pairs) => {
                let filled = self.map.filled_fields(table);
                self.fill_from_form(table, &filled, pairs)
            }
            Body::Multipart(parts) => {
                let filled = self.map.filled_fields(table);
                self.fill_from_parts(table, &filled, parts)
            }
            Body::None | Body::Raw(_) => Ok(()),
        }
    }

    /// Returns the texts of a part: in a query there may be any number of them.
    fn values(&self, place: Place, name: &str) -> Vec<Cow<'_, str>> {
        match place {
            Place::Path => {
                let at = self.route.path.parameters().iter().position(|other| other == name);
                let value = at.and_then(|at| self.path.get(at));
                value.map(|value| Cow::Borrowed(value.as_str())).into_iter().collect()
            }
            Place::Query => values(&self.query, name),
            Place::Body => Vec::new(),
        }
    }

    /// Fills a field from a raw body, or from the default of a query parameter that is absent.
    fn fill_without_text(
        &self,
        table: &mut TableBuilder<'_>,
        place: Place,
        name: &str,
        field: usize,
    ) -> Result<(), String> {
        match (place, &self.body) {
            (Place::Body, Body::Raw(bytes)) => table.read_bytes(bytes, field),
            _ => match self.default(name) {
                Some(json) => read_json(table, json, field),
                None => Ok(()),
            },
        }
    }

    fn default(&self, name: &str) -> Option<&str> {
        self.route.query.iter().find(|one| one.name == name)?.default.as_deref()
    }

    /// Fills the fields that JSON has, and collects the parameters of the request in it.
    fn fill_from_json(
        &self,
        table: &mut TableBuilder<'_>,
        filled: &FilledFields,
        text: &[u8],
    ) -> Result<(), String> {
        // The row may be filled again in another layout.
        let mut parameters = self.in_json.borrow_mut();
        parameters.clear();

        let mut reader = Reader::paced(text, self.pacer).map_err(|error| error.to_string())?;
        let read = reader.object(|reader, name| match self.map.body_target(table, filled, &name) {
            Some(Target::Field(target)) => match table.find(target) {
                Some(field) => table.read_json(reader, field),
                None => reader.skip(),
            },
            Some(Target::Parameter(_)) => self.read_parameter(&mut parameters, reader, &name),
            None => Err(reader.error(self.unknown_field(table, filled, &name))),
        });

        let read = read.and_then(|()| reader.expect_end());
        read.map_err(|error| error.to_string())
    }

    /// Reads a member of JSON that is a parameter of the request. Fails if it comes twice.
    fn read_parameter(
        &self,
        parameters: &mut HashMap<&'a str, Option<RawValue>>,
        reader: &mut Reader<'_>,
        name: &str,
    ) -> Result<(), JsonError> {
        let Some(parameter) = self.map.parameter(name) else { return reader.skip() };
        if parameters.contains_key(parameter) {
            return Err(reader.error(format!("field '{}': it is given twice", shorten(name))));
        }
        parameters.insert(parameter, read_parameter(reader, name)?);

        Ok(())
    }

    fn fill_from_form(
        &self,
        table: &mut TableBuilder<'_>,
        filled: &FilledFields,
        pairs: &[Pair<'_>],
    ) -> Result<(), String> {
        for (index, (name, _)) in pairs.iter().enumerate() {
            // All values of a name are read with its first one.
            if pairs.iter().take(index).any(|(earlier, _)| earlier == name) {
                continue;
            }
            match self.map.body_target(table, filled, name) {
                Some(Target::Field(target)) => {
                    if let Some(field) = table.find(target) {
                        table.read_texts(&values(pairs, name), field)?;
                    }
                }
                Some(Target::Parameter(_)) => {}
                None => return Err(self.unknown_field(table, filled, name)),
            }
        }

        Ok(())
    }

    /// Fills fields from the parts of a form: from the bytes of a file, or from texts.
    fn fill_from_parts(
        &self,
        table: &mut TableBuilder<'_>,
        filled: &FilledFields,
        parts: &[FormPart],
    ) -> Result<(), String> {
        for (index, part) in parts.iter().enumerate() {
            let name = &part.name;
            let Some(target) = self.map.body_target(table, filled, name) else {
                return Err(self.unknown_field(table, filled, name));
            };
            let Target::Field(target) = target else { continue };
            let Some(field) = table.find(target) else { continue };

            if part.is_file {
                table.read_bytes(&part.bytes, field)?;
            } else if !parts.iter().take(index).any(|earlier| earlier.name == *name) {
                // All texts of a name are read with its first one.
                table.read_texts(&texts(parts, name)?, field)?;
            }
        }

        Ok(())
    }

    fn unknown_field(&self, table: &TableBuilder<'_>, filled: &FilledFields, name: &str) -> String {
        // A hint compares no more of them, and a matrix may have very many columns.
        let names = self.map.body_names(table, filled).take(MAX_CANDIDATES + 1);
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        names.dedup();

        let hint = hint("fields", name, names.iter().map(AsRef::as_ref));
        format!("unknown field '{}'{hint}", shorten(name))
    }

    /// Returns the parameters of the request.
    fn parameters(&self) -> Result<Vec<RawParameter>, String> {
        let mut parameters = Vec::new();
        if self.route.parameters.is_empty() {
            return Ok(parameters);
        }

        for (place, name) in self.map.named_parts() {
            let Some(parameter) = self.map.parameter(name) else { continue };
            let label = place.describe(self.route, name);
            let value = match self.values(place, name).as_slice() {
                [text] => Some(text_value(text)),
                [] => self.parameter_without_text(place, name, &label)?,
                _ => return Err(format!("{label}: it is given twice")),
            };
            parameters
                .extend(value.map(|value| RawParameter { name: parameter.to_owned(), value }));
        }
        self.add_from_body(&mut parameters)?;

        Ok(parameters)
    }

    fn parameter_without_text(
        &self,
        place: Place,
        name: &str,
        label: &str,
    ) -> Result<Option<RawValue>, String> {
        let bytes = match (place, &self.body) {
            (Place::Body, Body::Raw(bytes)) => {
                let text = std::str::from_utf8(bytes);
                return text
                    .map(|text| Some(RawValue::Text(text.into())))
                    .map_err(|_| format!("{label}: it is not UTF-8"));
            }
            _ => self.default(name).map(str::as_bytes),
        };

        let Some(bytes) = bytes else { return Ok(None) };
        let mut reader = Reader::new(bytes).map_err(|error| error.to_string())?;
        read_parameter(&mut reader, name).map_err(|error| error.to_string())
    }

    fn add_from_body(&self, parameters: &mut Vec<RawParameter>) -> Result<(), String> {
        let mut in_json = self.in_json.borrow_mut();
        for (parameter, source) in &self.route.parameters {
            if self.map.place(source).is_some() {
                continue;
            }

            let value = match &self.body {
                Body::Json(_) => in_json.remove(parameter.as_str()).flatten(),
                Body::Form(pairs) => match values(pairs, source).as_slice() {
                    [] => None,
                    [text] => Some(text_value(text)),
                    _ => return Err(format!("field '{}': it is given twice", shorten(source))),
                },
                Body::Multipart(parts) => match texts(parts, source)?.as_slice() {
                    [] => None,
                    [text] => Some(text_value(text)),
                    _ => return Err(format!("field '{}': it is given twice", shorten(source))),
                },
                Body::None | Body::Raw(_) => None,
            };
            parameters.extend(value.map(|value| RawParameter { name: parameter.clone(), value }));
        }

        Ok(())
    }
}

fn read_json(table: &mut TableBuilder<'_>, json: &str, field: usize) -> Result<(), String> {
    let read =
        Reader::new(json.as_bytes()).and_then(|mut reader| table.read_json(&mut reader, field));
    read.map_err(|error| error.to_string())
}

fn values<'p>(pairs: &'p [Pair<'_>], name: &str) -> Vec<Cow<'p, str>> {
    let named = pairs.iter().filter(|(other, _)| other == name);
    named.map(|(_, value)| Cow::Borrowed(value.as_ref())).collect()
}

/// Returns the texts with a name among the parts of a form. Fails if one of them is not UTF-8.
fn texts<'p>(parts: &'p [FormPart], name: &str) -> Result<Vec<Cow<'p, str>>, String> {
    let named = parts.iter().filter(|part| part.name == name && !part.is_file);
    let texts = named.map(|part| std::str::from_utf8(&part.bytes).map(Cow::Borrowed));
    texts
        .collect::<Result<_, _>>()
        .map_err(|_| format!("field '{}': it is not UTF-8; send bytes as a file", shorten(name)))
}

/// Returns the value of a parameter that was sent as text: the number, true or false that it is as
/// JSON, or else the text.
fn text_value(text: &str) -> RawValue {
    let is_value = matches!(text.bytes().next(), Some(b'-' | b'0'..=b'9' | b't' | b'f'));
    let read = || {
        let mut reader = Reader::new(text.as_bytes()).ok()?;
        let value = read_parameter(&mut reader, "").ok()??;
        reader.expect_end().ok().map(|()| value)
    };

    let value = is_value.then(read).flatten();
    value.unwrap_or_else(|| RawValue::Text(text.to_owned()))
}
