//! A tree of paths, by their segments. Pure.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::model::PathSegment;

/// Values by path. The most specific path wins: at the first segment where two paths differ, a text
/// is preferred to a parameter, and that to the rest of a path.
pub(super) struct PathTree<V> {
    texts: HashMap<String, PathTree<V>>,
    parameter: Option<Box<PathTree<V>>>,
    /// The value of the path that ends with the rest from here.
    rest: Option<V>,
    /// The value of the path that ends here.
    end: Option<V>,
}

/// The value of a path, with the values of its parameters.
type Found<'t, V> = (&'t V, Vec<String>);

impl<V> Default for PathTree<V> {
    fn default() -> Self {
        PathTree { texts: HashMap::new(), parameter: None, rest: None, end: None }
    }
}

impl<V: Default> PathTree<V> {
    /// Returns the value of a path, and adds it if there is none.
    pub(super) fn entry(&mut self, path: &[PathSegment]) -> &mut V {
        match path {
            [] => self.end.get_or_insert_default(),
            [PathSegment::Text(text), rest @ ..] => {
                self.texts.entry(text.clone()).or_default().entry(rest)
            }
            [PathSegment::Parameter, rest @ ..] => {
                self.parameter.get_or_insert_default().entry(rest)
            }
            [PathSegment::Rest, ..] => self.rest.get_or_insert_default(),
        }
    }
}

impl<V> PathTree<V> {
    /// Finds the value for the segments of a request.
    pub(super) fn find(&self, segments: &[Cow<'_, str>]) -> Option<Found<'_, V>> {
        let mut values = Vec::new();
        let found = self.search(segments, &mut values)?;
        Some((found, values))
    }

    /// The search goes no deeper than the longest path in the tree.
    fn search(&self, segments: &[Cow<'_, str>], values: &mut Vec<String>) -> Option<&V> {
        let Some((first, others)) = segments.split_first() else { return self.end.as_ref() };

        let by_text = self.texts.get(first.as_ref());
        if let Some(found) = by_text.and_then(|tree| tree.search(others, values)) {
            return Some(found);
        }

        // An empty segment is a slash at the end.
        if first.is_empty() {
            return None;
        }
        if let Some(tree) = &self.parameter {
            values.push(first.to_string());
            if let Some(found) = tree.search(others, values) {
                return Some(found);
            }
            values.pop();
        }

        // A slash within a segment could not be told from those between them.
        let rest = self.rest.as_ref().filter(|_| segments.iter().all(|one| !one.contains('/')))?;
        values.push(segments.join("/"));
        Some(rest)
    }
}
