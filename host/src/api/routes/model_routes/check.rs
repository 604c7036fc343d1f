//! Compares the routes of a model with its metadata when the model is loaded.

use std::borrow::Cow;
use std::collections::HashSet;

use super::answer::raw_output;
use super::parts::{PartMap, Target};
use crate::api::json::{Reader, shorten};
use crate::api::table::{TableBuilder, build_row};
use crate::model::{
    AnswerForm, AnswerOutputs, InputSource, MAX_CANDIDATES, Metadata, ModelRoute, ModelRoutes,
    OutputSource, RouteBody, TensorSpec, hint,
};

/// Checks that every part of the routes' requests fills something that the model has, that its
/// inputs are filled, and that it has the outputs of their answers. Fails with the reason for the
/// model's author.
pub fn check_routes(metadata: &Metadata, routes: &ModelRoutes) -> Result<(), String> {
    routes.iter().try_for_each(|route| {
        check_request(metadata, route)
            .and_then(|()| check_answer(metadata, route))
            .map_err(|reason| format!("the route {route}: {reason}"))
    })
}

/// Builds a row of the fixed values, and of a value for each part, as far as it can be known.
fn check_request(metadata: &Metadata, route: &ModelRoute) -> Result<(), String> {
    let map = PartMap::new(route);
    let label = |table: &TableBuilder<'_>, field| map.label(table, field);
    let unfilled = std::cell::RefCell::new(None);

    let built = build_row(metadata, &label, 0, |table| {
        unfilled.take();
        table.begin_row()?;
        let mut filled = check_sources(route, &map, table)?;
        fill_known(route, &map, table, &mut filled)?;
        let missing = unfilled_input(metadata, route, &map, table, &filled);
        unfilled.replace(missing);
        Ok(())
    });

    match unfilled.take() {
        Some(input) => Err(format!(
            "nothing fills the input '{}'; name a part of the request like it, or write inputs = \
             {{ \"{}\" = \"NAME\" }}",
            shorten(&input),
            shorten(&input)
        )),
        None => built.map(drop),
    }
}

/// Fails if a part fills nothing. Returns the fields that the path and the query fill.
fn check_sources(
    route: &ModelRoute,
    map: &PartMap<'_>,
    table: &TableBuilder<'_>,
) -> Result<HashSet<usize>, String> {
    let mut filled = HashSet::new();
    for (place, name) in map.named_parts() {
        let Target::Field(target) = map.target(name) else { continue };
        let what = place.describe(route, name);
        let field = table.find(target).ok_or_else(|| unknown(table, &what, target))?;
        if !filled.insert(field) {
            return Err(format!("{what}: '{}' is filled twice", shorten(target)));
        }
    }

    for (input, source) in &route.inputs {
        let field = table.find(input).ok_or_else(|| unknown(table, "inputs", input))?;
        let by_value = matches!(source, InputSource::Value(_));
        if by_value && filled.contains(&field) {
            return Err(format!("inputs: '{}' is filled twice", shorten(input)));
        }
    }

    Ok(filled)
}

fn unknown(table: &TableBuilder<'_>, what: &str, input: &str) -> String {
    let names: Vec<_> = table.names().take(MAX_CANDIDATES + 1).collect();
    let hint = hint("inputs", input, names.iter().map(AsRef::as_ref));
    format!("{what}: the model has no input '{}'{hint}", shorten(input))
}

/// Fills the fields whose values the route fixes or has a default for. Fails if one does not fit.
fn fill_known(
    route: &ModelRoute,
    map: &PartMap<'_>,
    table: &mut TableBuilder<'_>,
    filled: &mut HashSet<usize>,
) -> Result<(), String> {
    let read = |table: &mut TableBuilder<'_>, json: &str, field| {
        let mut reader = Reader::new(json.as_bytes()).map_err(|error| error.to_string())?;
        table.read_json(&mut reader, field).map_err(|error| error.to_string())
    };

    for (input, source) in &route.inputs {
        if let (InputSource::Value(json), Some(field)) = (source, table.find(input)) {
            read(table, json, field)?;
            filled.insert(field);
        }
    }

    for parameter in &route.query {
        let Target::Field(target) = map.target(&parameter.name) else { continue };
        if let (Some(json), Some(field)) = (&parameter.default, table.find(target)) {
            read(table, json, field)?;
        }
    }

    // An empty text fits where any one text does.
    for name in route.path.parameters() {
        let Target::Field(target) = map.target(name) else { continue };
        if let Some(field) = table.find(target)
            && table.is_text(field)
        {
            table.read_texts(&[Cow::Borrowed("")], field)?;
        }
    }

    Ok(())
}

/// Returns a required input that no part of the request can fill.
fn unfilled_input(
    metadata: &Metadata,
    route: &ModelRoute,
    map: &PartMap<'_>,
    table: &TableBuilder<'_>,
    filled: &HashSet<usize>,
) -> Option<String> {
    let has_members =
        matches!(route.body, RouteBody::Json | RouteBody::Form | RouteBody::Multipart);
    let by_parts = map.filled_fields(table);
    let is_filled = |spec: &TensorSpec| {
        let by_whole = table.find(&spec.name).is_some_and(|field| filled.contains(&field));
        by_whole
            || table
                .columns_of(&spec.name)
                .is_some_and(|mut columns| columns.all(|column| filled.contains(&column)))
            || (has_members && map.body_fills(table, &by_parts, &spec.name))
    };

    let mut required = metadata.inputs.iter().filter(|spec| !spec.optional);
    required.find(|spec| !is_filled(spec)).map(|spec| spec.name.clone())
}

fn check_answer(metadata: &Metadata, route: &ModelRoute) -> Result<(), String> {
    let named: Vec<&str> = match &route.outputs {
        AnswerOutputs::All => Vec::new(),
        AnswerOutputs::Single(name) => vec![name],
        AnswerOutputs::Object(sources) => sources
            .iter()
            .filter_map(|(_, source)| match source {
                OutputSource::Output(name) => Some(name.as_str()),
                OutputSource::Value(_) => None,
            })
            .collect(),
    };

    let has = |name: &str| metadata.outputs.iter().any(|spec| spec.name == name);
    if let Some(name) = named.iter().find(|name| !has(name)) {
        let hint = hint("outputs", name, metadata.outputs.iter().map(|spec| spec.name.as_str()));
        return Err(format!("outputs: the model has no output '{}'{hint}", shorten(name)));
    }
    if route.answer == AnswerForm::Raw && raw_output(route, metadata).is_none() {
        return Err("the model has several outputs; write outputs = \"NAME\"".into());
    }

    Ok(())
}
