//! The parts of a request, and what each of them fills.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::api::table::TableBuilder;
use crate::model::{InputSource, ModelRoute, RAW_BODY, RouteBody};

/// The destination of a part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Destinations of the parts of a route's requests, by the names of the parts.
pub(super) struct PartMap<'r> {
    route: &'r ModelRoute,
    /// The names on the right side of `inputs` and `parameters`.
    targets: HashMap<&'r str, Target<'r>>,
    /// The parts whose names the route has itself.
    places: HashMap<&'r str, Place>,
    /// The inputs on the left side of `inputs`.
    inputs: HashMap<&'r str, &'r InputSource>,
}

/// The fields that the path, the query, a raw body or a fixed value fills. The members of a body
/// fill the others.
pub(super) struct FilledFields(HashSet<usize>);

impl FilledFields {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'r> PartMap<'r> {
    pub(super) fn new(route: &'r ModelRoute) -> Self {
        let mut targets = HashMap::new();
        for (input, source) in &route.inputs {
            if let InputSource::Named(name) = source {
                targets.entry(name.as_str()).or_insert(Target::Field(input));
            }
        }
        for (parameter, name) in &route.parameters {
            targets.insert(name.as_str(), Target::Parameter(parameter));
        }

        PartMap {
            route,
            targets,
            places: named_parts(route).map(|(place, name)| (name, place)).collect(),
            inputs: route.inputs.iter().map(|(input, source)| (input.as_str(), source)).collect(),
        }
    }

    /// Returns the parts whose names the route has itself: those in the path and in the query, and
    /// a raw body.
    pub(super) fn named_parts(&self) -> impl Iterator<Item = (Place, &'r str)> + use<'r> {
        named_parts(self.route)
    }

    /// Returns the place of a part whose name the route has itself.
    pub(super) fn place(&self, name: &str) -> Option<Place> {
        self.places.get(name).copied()
    }

    /// Returns what a part with this name fills.
    pub(super) fn target<'n>(&self, name: &'n str) -> Target<'n>
    where
        'r: 'n,
    {
        self.targets.get(name).copied().unwrap_or(Target::Field(name))
    }

    /// Returns the parameter of the request that a part with this name is.
    pub(super) fn parameter(&self, name: &str) -> Option<&'r str> {
        match self.targets.get(name)? {
            Target::Parameter(parameter) => Some(parameter),
            Target::Field(_) => None,
        }
    }

    /// Finds the fields that the body cannot fill.
    pub(super) fn filled_fields(&self, table: &TableBuilder<'_>) -> FilledFields {
        let by_parts = self.named_parts().filter_map(|(_, part)| match self.target(part) {
            Target::Field(name) => table.find(name),
            Target::Parameter(_) => None,
        });
        let by_values = self.route.inputs.iter().filter_map(|(input, source)| match source {
            InputSource::Value(_) => table.find(input),
            InputSource::Named(_) => None,
        });

        FilledFields(by_parts.chain(by_values).collect())
    }

    /// Returns what a member of JSON or a field of a form fills; `None` if the route takes no such
    /// member.
    pub(super) fn body_target<'n>(
        &self,
        table: &TableBuilder<'_>,
        filled: &FilledFields,
        name: &'n str,
    ) -> Option<Target<'n>>
    where
        'r: 'n,
    {
        if self.places.contains_key(name) {
            return None;
        }

        let target = self.target(name);
        match target {
            Target::Parameter(_) => Some(target),
            Target::Field(field) => {
                // An input that has another source cannot be given under its own name.
                let has_source = field == name && self.inputs.contains_key(name);
                let field = table.find(field).filter(|_| !has_source)?;
                (!filled.0.contains(&field)).then_some(target)
            }
        }
    }

    /// True if a member of the body can fill an input.
    pub(super) fn body_fills(
        &self,
        table: &TableBuilder<'_>,
        filled: &FilledFields,
        input: &str,
    ) -> bool {
        let source = match self.inputs.get(input) {
            Some(InputSource::Named(name)) => name,
            Some(InputSource::Value(_)) => return false,
            None => input,
        };
        self.body_target(table, filled, source) == Some(Target::Field(input))
    }

    /// Returns the names that members of the body may have, those that the route gives first. One
    /// name may come twice.
    pub(super) fn body_names<'n>(
        &'n self,
        table: &'n TableBuilder<'_>,
        filled: &'n FilledFields,
    ) -> impl Iterator<Item = Cow<'n, str>> {
        let renamed = self.route.inputs.iter().filter_map(|(_, source)| match source {
            InputSource::Named(name) => Some(name),
            InputSource::Value(_) => None,
        });
        let given = renamed.chain(self.route.parameters.iter().map(|(_, name)| name));
        let names = given.map(|name| Cow::Borrowed(name.as_str())).chain(table.names());
        names.filter(|name| self.body_target(table, filled, name).is_some())
    }

    /// Returns what a field is called in a request to the route.
    pub(super) fn label(&self, table: &TableBuilder<'_>, field: usize) -> String {
        let fills = |name: &str| match self.target(name) {
            Target::Field(input) => table.find(input) == Some(field),
            Target::Parameter(_) => false,
        };
        if let Some((place, name)) = self.named_parts().find(|(_, name)| fills(name)) {
            return place.describe(self.route, name);
        }

        let mut sources = self.route.inputs.iter();
        match sources.find(|(input, _)| table.find(input) == Some(field)) {
            Some((_, InputSource::Named(name))) => Place::Body.describe(self.route, name),
            Some((input, InputSource::Value(_))) => format!("the fixed value of '{input}'"),
            None => format!("field '{}'", table.name(field)),
        }
    }
}

fn named_parts(route: &ModelRoute) -> impl Iterator<Item = (Place, &str)> {
    let in_path = route.path.parameters().iter().map(|name| (Place::Path, name.as_str()));
    let in_query = route.query.iter().map(|one| (Place::Query, one.name.as_str()));
    let raw = (route.body == RouteBody::Raw).then_some((Place::Body, RAW_BODY));

    in_path.chain(in_query).chain(raw)
}
