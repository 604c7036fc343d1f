//! The properties of a model's metadata.

use std::ops::Deref;

use super::Parameter;
use super::refused_values::RefusedValues;

/// Properties for clients, in the order in which the model gives them. Those that the server
/// applies to every request are read when the list is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties {
    list: Vec<Parameter>,
    refused: Option<RefusedValues>,
}

impl Properties {
    /// Returns the values that the model refuses; `None` if it refuses none.
    pub(super) fn refused(&self) -> Option<&RefusedValues> {
        self.refused.as_ref()
    }
}

impl From<Vec<Parameter>> for Properties {
    fn from(list: Vec<Parameter>) -> Self {
        Properties { refused: RefusedValues::of(&list), list }
    }
}

impl FromIterator<Parameter> for Properties {
    fn from_iter<I: IntoIterator<Item = Parameter>>(properties: I) -> Self {
        Vec::from_iter(properties).into()
    }
}

impl Deref for Properties {
    type Target = [Parameter];

    fn deref(&self) -> &[Parameter] {
        &self.list
    }
}
