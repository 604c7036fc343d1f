//! Objects.

use std::borrow::Cow;

use super::Value;

/// The fields of an object. A file has two objects for each of its trees, so their names are not
/// copied, and there is no room for more of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::xgboost) struct Object {
    /// Sorted by name.
    fields: Vec<(Name, Value)>,
}

type Name = Cow<'static, str>;

/// The names of a tree's fields, sorted.
const NAMES: [&str; 23] = [
    "base_weights",
    "categories",
    "categories_nodes",
    "categories_segments",
    "categories_sizes",
    "default_left",
    "id",
    "leaf_child_counts",
    "leaf_weights",
    "left_children",
    "loss_changes",
    "num_deleted",
    "num_feature",
    "num_nodes",
    "num_roots",
    "parents",
    "right_children",
    "size_leaf_vector",
    "split_conditions",
    "split_indices",
    "split_type",
    "sum_hessian",
    "tree_param",
];

/// Collects the fields of an object.
#[derive(Default)]
pub(super) struct ObjectBuilder {
    fields: Vec<(Name, Value)>,
}

// === impl Object ===

impl Object {
    /// Returns a field.
    pub(in crate::xgboost) fn get(&self, name: &str) -> Option<&Value> {
        let (_, value) = self.fields.get(self.find(name)?)?;
        Some(value)
    }

    /// Tells whether there is a field of this name.
    pub(in crate::xgboost) fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Takes a field.
    pub(in crate::xgboost) fn remove(&mut self, name: &str) -> Option<Value> {
        let (_, value) = self.fields.remove(self.find(name)?);
        Some(value)
    }

    /// Drops the fields whose names are not kept.
    pub(super) fn retain(&mut self, keeps: impl Fn(&str) -> bool) {
        self.fields.retain(|(name, _)| keeps(name));
    }

    /// Returns the name of a field; `None` if there is none.
    pub(super) fn first_name(&self) -> Option<&str> {
        self.fields.first().map(|(name, _)| name.as_ref())
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.fields.binary_search_by(|(field, _)| field.as_ref().cmp(name)).ok()
    }
}

// === impl ObjectBuilder ===

impl ObjectBuilder {
    /// Returns the number of fields so far.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// Adds a field.
    pub(super) fn push(&mut self, name: String, value: Value) {
        let name = match NAMES.binary_search(&name.as_str()) {
            Ok(known) => Cow::Borrowed(NAMES[known]),
            Err(_) => Cow::Owned(name),
        };
        self.fields.push((name, value));
    }

    /// Ends the object; fails with a name that two fields have.
    pub(super) fn build(self) -> Result<Object, String> {
        let mut fields = self.fields;
        fields.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        fields.shrink_to_fit();
        let twice = fields.windows(2).find_map(|pair| match pair {
            [(name, _), (other, _)] if name == other => Some(name.to_string()),
            _ => None,
        });
        twice.map_or(Ok(Object { fields }), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(names: &[&str]) -> Result<Object, String> {
        let mut builder = ObjectBuilder::default();
        for (number, name) in (0..).zip(names) {
            builder.push((*name).to_owned(), Value::Integer(number));
        }
        builder.build()
    }

    #[test]
    fn fields_are_found_by_their_names() {
        let names: Vec<_> = NAMES.into_iter().rev().chain(["", "zebra", "größe", "id2"]).collect();
        let mut object = object(&names).unwrap();
        for (number, name) in (0..).zip(names) {
            assert_eq!(object.get(name), Some(&Value::Integer(number)), "{name}");
            assert_eq!(object.remove(name), Some(Value::Integer(number)), "{name}");
            assert!(!object.contains(name) && object.remove(name).is_none(), "{name}");
        }
        assert_eq!(object, Object::default());
    }

    #[test]
    fn a_name_that_appears_twice_is_returned() {
        assert_eq!(object(&["id", "a", "id"]), Err("id".to_owned()));
        assert_eq!(object(&["b", "a", "c", "b"]), Err("b".to_owned()));
        assert!(object(&[]).is_ok_and(|object| object.first_name().is_none()));
    }
}
