//! The inputs in which an empty text stands for a missing one.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{Metadata, ParameterValue};

/// The inputs in which an empty text stands for a missing one, by the model's properties.
pub(super) struct MissingTexts {
    /// The columns with categories, by their names.
    categories: BTreeMap<String, Vec<Value>>,
    /// The numbers of the inputs that must not be missing; `None` if that is not known.
    mandatory: Option<Vec<usize>>,
}

impl MissingTexts {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let property = |name: &str| {
            let found = metadata.properties.iter().find(|property| property.name == name)?;
            match &found.value {
                ParameterValue::Text(text) => Some(text.as_str()),
                _ => None,
            }
        };

        let categories = property("categories").and_then(|text| serde_json::from_str(text).ok());
        let mandatory = property("missing_values").and_then(|text| match text {
            "yes" => Some(Vec::new()),
            list => serde_json::from_str(list).ok(),
        });
        MissingTexts { categories: categories.unwrap_or_default(), mandatory }
    }

    /// True if an empty text is a missing one in an input of texts.
    pub(super) fn contain(&self, input: usize, name: &str) -> bool {
        if let Some(categories) = self.categories.get(name) {
            return !categories.iter().any(|category| category == "");
        }
        self.mandatory.as_ref().is_some_and(|inputs| !inputs.contains(&input))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Parameter;

    fn found(property: &str, value: &str) -> bool {
        let property =
            Parameter { name: property.into(), value: ParameterValue::Text(value.into()) };
        let metadata = Metadata { properties: vec![property].into(), ..Metadata::default() };
        MissingTexts::of(&metadata).contain(1, "town")
    }

    #[test]
    fn an_empty_text_is_missing_where_it_is_no_category() {
        assert!(found("categories", r#"{"town": ["Rom", "Ulm"]}"#));
        for categories in [r#"{"town": ["Rom", ""]}"#, r#"{"city": ["Rom"]}"#, "{}", "some"] {
            assert!(!found("categories", categories), "{categories}");
        }
    }

    #[test]
    fn an_empty_text_is_missing_where_the_model_takes_missing_values() {
        assert!(found("missing_values", "yes") && found("missing_values", "[0, 2]"));
        assert!(!found("missing_values", "no") && !found("missing_values", "[1]"));
        assert!(!found("feature_names", "yes"));
    }
}
