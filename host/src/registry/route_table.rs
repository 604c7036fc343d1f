//! The routes of one tenant's models, by path.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::model::{ModelRoute, RESERVED_SEGMENTS, RouteMethod};

/// Finds routes by path. `T` is what answers a route.
pub(super) struct RouteTable<T> {
    matcher: matchit::Router<Vec<(Arc<ModelRoute>, T)>>,
    count: usize,
}

/// The routes at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RoutesAtPath<'t, T> {
    /// One for each method.
    routes: &'t [(Arc<ModelRoute>, T)],
    /// The values of the parameters in the path, decoded, in their order.
    pub(super) values: Vec<String>,
}

impl<T> Default for RouteTable<T> {
    fn default() -> Self {
        RouteTable { matcher: matchit::Router::new(), count: 0 }
    }
}

impl<T> RouteTable<T> {
    /// Builds the table. Of routes that conflict, the first one is kept.
    pub(super) fn new(routes: impl IntoIterator<Item = (Arc<ModelRoute>, T)>) -> Self {
        let mut by_pattern: BTreeMap<String, Vec<(Arc<ModelRoute>, T)>> = BTreeMap::new();
        for (route, target) in routes {
            let same = by_pattern.entry(route.path.pattern().to_owned()).or_default();
            if !same.iter().any(|(other, _)| other.method == route.method) {
                same.push((route, target));
            }
        }

        let mut table = RouteTable::default();
        for (pattern, routes) in by_pattern {
            let count = routes.len();
            // Patterns that differ do not conflict: a parameter is a whole segment, and its name is
            // its number.
            match table.matcher.insert(&pattern, routes) {
                Ok(()) => table.count += count,
                Err(error) => tracing::error!(%pattern, %error, "a route cannot be matched"),
            }
        }

        table
    }

    /// The number of routes.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// True if there is no route.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Finds the routes at the path of a request; `None` if there are none. A text in a path is
    /// preferred to a parameter.
    pub(super) fn at(&self, path: &str) -> Option<RoutesAtPath<'_, T>> {
        if self.is_empty() {
            return None;
        }

        let path = canonical(path)?;
        let found = self.matcher.at(&path).ok()?;
        let values = found.params.iter().map(|(_, value)| plain(value)).collect();
        Some(RoutesAtPath { routes: found.value, values })
    }
}

impl<'t, T> RoutesAtPath<'t, T> {
    /// Returns the route with this method and what answers it.
    pub(super) fn with_method(&self, method: RouteMethod) -> Option<(&'t Arc<ModelRoute>, &'t T)> {
        let found = self.routes.iter().find(|(route, _)| route.method == method)?;
        Some((&found.0, &found.1))
    }

    /// The methods of the routes, in a fixed order.
    pub(super) fn methods(&self) -> Vec<RouteMethod> {
        let mut methods: Vec<_> = self.routes.iter().map(|(route, _)| route.method).collect();
        methods.sort_unstable();
        methods
    }
}

/// Returns the one notation of a path: without escapes, but for `/` and `%` within a segment.
/// `None` if no route can match: the path is the server's own, or it has an empty segment before
/// its end, a segment `.` or `..`, a faulty escape, or bytes that are not UTF-8.
fn canonical(path: &str) -> Option<Cow<'_, str>> {
    let segments = path.strip_prefix('/')?;
    let count = segments.split('/').count();
    let mut decoded: Option<String> = path.contains('%').then(String::new);

    for (index, segment) in segments.split('/').enumerate() {
        let text = decode(segment)?;
        let is_last = index + 1 == count;
        let is_reserved = index == 0 && RESERVED_SEGMENTS.contains(&text.as_ref());
        if is_reserved || matches!(text.as_ref(), "." | "..") || (text.is_empty() && !is_last) {
            return None;
        }
        if let Some(decoded) = &mut decoded {
            decoded.push('/');
            push_escaped(decoded, &text);
        }
    }

    Some(decoded.map_or(Cow::Borrowed(path), Cow::Owned))
}

/// Removes the escapes of a segment. `None` if one is faulty, or the result is not UTF-8.
fn decode(segment: &str) -> Option<Cow<'_, str>> {
    let mut escapes = segment.split('%').skip(1);
    let is_escape =
        |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());

    if escapes.all(is_escape) { percent_decode_str(segment).decode_utf8().ok() } else { None }
}

/// Appends a segment with escapes for the two letters that have a meaning in [`canonical`].
fn push_escaped(path: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            // Writing to a text cannot fail.
            '/' | '%' => drop(write!(path, "%{:02X}", u32::from(letter))),
            _ => path.push(letter),
        }
    }
}

/// Returns a parameter of a canonical path without escapes.
fn plain(value: &str) -> String {
    if value.contains('%') { value.replace("%2F", "/").replace("%25", "%") } else { value.into() }
}

#[cfg(test)]
pub(super) mod tests;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;
