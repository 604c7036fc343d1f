//! The routes of one tenant's models, by path.

use std::borrow::Cow;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::path_tree::PathTree;
use crate::model::{ModelRoute, RESERVED_SEGMENTS, RouteMethod};

/// Finds routes by path. `T` is what answers a route.
pub(super) struct RouteTable<T> {
    /// The routes at each path, one for each method.
    paths: PathTree<Vec<(Arc<ModelRoute>, T)>>,
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
        RouteTable { paths: PathTree::default(), count: 0 }
    }
}

impl<T> RouteTable<T> {
    /// Builds the table. Of routes that conflict, the first one is kept.
    pub(super) fn new(routes: impl IntoIterator<Item = (Arc<ModelRoute>, T)>) -> Self {
        let mut table = RouteTable::default();
        for (route, target) in routes {
            let same = table.paths.entry(route.path.segments());
            if !same.iter().any(|(other, _)| other.method == route.method) {
                same.push((route, target));
                table.count += 1;
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

    /// Finds the routes at the path of a request; `None` if there are none.
    pub(super) fn at(&self, path: &str) -> Option<RoutesAtPath<'_, T>> {
        if self.is_empty() {
            return None;
        }

        let (routes, values) = self.paths.find(&segments(path)?)?;
        Some(RoutesAtPath { routes, values })
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

/// Returns the segments of a path without escapes. `None` if no route can match: the path is the
/// server's own, or it has an empty segment before its end, a segment `.` or `..`, a faulty escape,
/// or bytes that are not UTF-8.
fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let path = path.strip_prefix('/')?;
    let last = path.split('/').count() - 1;

    let decoded = path.split('/').enumerate().map(|(index, segment)| {
        let text = decode(segment)?;
        let is_reserved = index == 0 && RESERVED_SEGMENTS.contains(&text.as_ref());
        let is_refused = matches!(text.as_ref(), "." | "..") || (text.is_empty() && index < last);
        (!is_reserved && !is_refused).then_some(text)
    });
    decoded.collect()
}

/// Removes the escapes of a segment. `None` if one is faulty, or the result is not UTF-8.
fn decode(segment: &str) -> Option<Cow<'_, str>> {
    let mut escapes = segment.split('%').skip(1);
    let is_escape =
        |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());

    if escapes.all(is_escape) { percent_decode_str(segment).decode_utf8().ok() } else { None }
}

#[cfg(test)]
pub(super) mod tests;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;
