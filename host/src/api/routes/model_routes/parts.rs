//! The parts of a request, and what each of them fills.

use crate::api::table::TableBuilder;
use crate::model::{InputSource, ModelRoute, RAW_BODY, RouteBody};

/// The destination of a part of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'r> {
    /// The field with this name: an input of the model, or a column of its matrix.
    Field(&'r str),
    /// A parameter of the request.
    Parameter(&'r str),
}

/// The place of a part in a request, for error texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Body,
}

impl Place {
    /// Returns what a part with this name is called.
    pub(super) fn describe(self, route: &ModelRoute, name: &str) -> String {
        match self {
            Place::Path => format!("path parameter '{name}'"),
            Place::Query => format!("query parameter '{name}'"),
            Place::Body if route.body == RouteBody::Raw => "the body".into(),
            Place::Body => format!("field '{name}'"),
        }
    }
}

/// Returns the parts whose names the route has itself: those in the path and in the query, and a
/// raw body.
pub(super) fn named_parts(route: &ModelRoute) -> impl Iterator<Item = (Place, &str)> {
    let in_path = route.path.parameters().iter().map(|name| (Place::Path, name.as_str()));
    let in_query = route.query.iter().map(|one| (Place::Query, one.name.as_str()));
    let raw = (route.body == RouteBody::Raw).then_some((Place::Body, RAW_BODY));

    in_path.chain(in_query).chain(raw)
}

/// Returns what a part with this name fills.
pub(super) fn target<'r>(route: &'r ModelRoute, name: &'r str) -> Target<'r> {
    let parameter = route.parameters.iter().find(|(_, source)| source == name);
    if let Some((parameter, _)) = parameter {
        return Target::Parameter(parameter);
    }

    let named = |source: &InputSource| matches!(source, InputSource::Named(from) if from == name);
    let input = route.inputs.iter().find(|(_, source)| named(source));
    Target::Field(input.map_or(name, |(input, _)| input))
}

/// Returns what a member of JSON or a field of a form fills; `None` if the route takes no such
/// member.
pub(super) fn body_target<'r>(
    route: &'r ModelRoute,
    table: &TableBuilder<'_>,
    name: &'r str,
) -> Option<Target<'r>> {
    if named_parts(route).any(|(_, part)| part == name) {
        return None;
    }

    let target = target(route, name);
    match target {
        Target::Parameter(_) => Some(target),
        Target::Field(field) => {
            // An input that has another source cannot be given under its own name.
            let has_source = field == name && route.inputs.iter().any(|(input, _)| input == name);
            let field = table.find(field).filter(|_| !has_source)?;
            (!is_filled(route, table, field)).then_some(target)
        }
    }
}

/// True if the path, the query or a fixed value fills a field.
fn is_filled(route: &ModelRoute, table: &TableBuilder<'_>, field: usize) -> bool {
    let by_part = named_parts(route).any(|(_, part)| match target(route, part) {
        Target::Field(name) => table.find(name) == Some(field),
        Target::Parameter(_) => false,
    });

    let by_value = route.inputs.iter().any(|(input, source)| {
        matches!(source, InputSource::Value(_)) && table.find(input) == Some(field)
    });
    by_part || by_value
}

/// Returns the names that members of the body may have.
pub(super) fn body_names(route: &ModelRoute, table: &TableBuilder<'_>) -> Vec<String> {
    let renamed = route.inputs.iter().filter_map(|(_, source)| match source {
        InputSource::Named(name) => Some(name.clone()),
        InputSource::Value(_) => None,
    });
    let parameters = route.parameters.iter().map(|(_, name)| name.clone());

    let mut names: Vec<_> = table.names().into_iter().chain(renamed).chain(parameters).collect();
    names.retain(|name| body_target(route, table, name).is_some());
    names.sort_unstable();
    names.dedup();
    names
}

/// Returns what a field is called in a request to the route.
pub(super) fn label(route: &ModelRoute, table: &TableBuilder<'_>, field: usize) -> String {
    let fills = |name: &str| match target(route, name) {
        Target::Field(input) => table.find(input) == Some(field),
        Target::Parameter(_) => false,
    };
    if let Some((place, name)) = named_parts(route).find(|(_, name)| fills(name)) {
        return place.describe(route, name);
    }

    let source = route.inputs.iter().find(|(input, _)| table.find(input) == Some(field));
    match source {
        Some((_, InputSource::Named(name))) => Place::Body.describe(route, name),
        Some((input, InputSource::Value(_))) => format!("the fixed value of '{input}'"),
        None => format!("field '{}'", table.name(field)),
    }
}
