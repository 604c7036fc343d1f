//! The values that a model refuses, by the properties of its metadata.
//!
//! Libraries refuse missing or infinite numbers before they compute, and their converted files do
//! not. So the file's properties say what the model refuses, for every way to ask it.

use std::collections::BTreeSet;

use super::{Datatype, Parameter, ParameterValue, Tensor, sanitize};

/// The property with `no`, or the JSON list of the numbers of the columns that must not be missing.
const MISSING: &str = "missing_values";
/// The property with `no` if no number may be infinite.
const INFINITE: &str = "infinite_values";
/// The property that names the columns of a matrix.
const NAMES: &str = "feature_names";

/// The values that a model refuses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RefusedValues {
    /// The columns that must not be missing, by their number, and `None` for all of them.
    missing: Option<BTreeSet<usize>>,
    infinite: bool,
}

impl RefusedValues {
    /// Reads the properties; `None` if nothing is refused.
    pub(super) fn of(properties: &[Parameter]) -> Option<Self> {
        let missing = match property(properties, MISSING) {
            Some("no") => None,
            Some(list) => Some(serde_json::from_str(list).unwrap_or_default()),
            None => Some(BTreeSet::new()),
        };
        let infinite = property(properties, INFINITE) == Some("no");

        let nothing = missing.as_ref().is_some_and(BTreeSet::is_empty) && !infinite;
        (!nothing).then_some(RefusedValues { missing, infinite })
    }

    /// Checks the numbers of a request to a model with these inputs, by name, and properties. Fails
    /// with a text for the caller.
    pub(super) fn check(
        &self,
        inputs: &[&str],
        properties: &[Parameter],
        tensors: &[Tensor],
    ) -> Result<(), String> {
        for tensor in tensors {
            let index = inputs.iter().position(|input| *input == tensor.name);
            let Some(index) = index else { continue };
            // The columns of a single matrix have numbers; otherwise the inputs do.
            let width = match (inputs.len(), tensor.shape.last()) {
                (1, Some(&width)) if tensor.shape.len() > 1 => usize::try_from(width).unwrap_or(0),
                _ => 1,
            };
            let found = first_refused(tensor, |place, value| {
                let column = if inputs.len() == 1 { place % width.max(1) } else { index };
                self.refuses(column, value)
            });
            if let Some((place, value)) = found {
                let (row, column) = (place / width.max(1) + 1, place % width.max(1));
                let names = if inputs.len() == 1 { names(properties) } else { Vec::new() };
                let by_number = inputs.len() == 1 && names.is_empty();
                let name = names.get(column).unwrap_or(&tensor.name);
                return Err(text(name, by_number.then_some(column), row, value));
            }
        }

        Ok(())
    }

    fn refuses(&self, column: usize, value: f64) -> bool {
        if value.is_nan() {
            return self.missing.as_ref().is_none_or(|columns| columns.contains(&column));
        }
        self.infinite && value.is_infinite()
    }
}

fn property<'p>(properties: &'p [Parameter], name: &str) -> Option<&'p str> {
    let found = properties.iter().find(|property| property.name == name)?;
    match &found.value {
        ParameterValue::Text(text) => Some(text),
        _ => None,
    }
}

/// Returns the first number that is refused, with its place among the elements.
fn first_refused(tensor: &Tensor, refuses: impl Fn(usize, f64) -> bool) -> Option<(usize, f64)> {
    let found = |(place, value): (usize, f64)| {
        (!value.is_finite() && refuses(place, value)).then_some((place, value))
    };
    let data = tensor.data.as_slice();
    match tensor.datatype {
        Datatype::Fp64 => {
            let (numbers, _) = data.as_chunks();
            numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).enumerate().find_map(found)
        }
        Datatype::Fp32 => {
            let (numbers, _) = data.as_chunks();
            let wide = numbers.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
            wide.enumerate().find_map(found)
        }
        _ => None,
    }
}

/// The names of the columns of a matrix; empty if they have none.
fn names(properties: &[Parameter]) -> Vec<String> {
    let names = property(properties, NAMES).and_then(|names| serde_json::from_str(names).ok());
    names.unwrap_or_default()
}

fn text(name: &str, column: Option<usize>, row: usize, value: f64) -> String {
    let name = sanitize(name, 64);
    let number = column.map(|column| format!(", column {column}")).unwrap_or_default();
    let what = if value.is_nan() { "is missing (NaN)" } else { "is infinite" };
    format!(
        "row {row}: '{name}'{number} {what}, which this model does not answer as its original, or \
         the original refuses; replace it before"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Model(Vec<&'static str>, Vec<Parameter>);

    fn metadata(inputs: &[(&'static str, i64)], properties: &[(&str, &str)]) -> Model {
        let property = |(name, value): &(&str, &str)| Parameter {
            name: (*name).into(),
            value: ParameterValue::Text((*value).into()),
        };
        let names = inputs.iter().map(|(name, _)| *name).collect();
        Model(names, properties.iter().map(property).collect())
    }

    fn ask(model: &Model, tensors: &[(&str, u64, &[f64])]) -> Result<(), String> {
        let tensor = |(name, width, values): &(&str, u64, &[f64])| Tensor {
            name: (*name).into(),
            datatype: Datatype::Fp64,
            shape: vec![values.len() as u64 / width, *width],
            data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        };
        let tensors: Vec<_> = tensors.iter().map(tensor).collect();
        let refused = RefusedValues::of(&model.1);
        refused.map_or(Ok(()), |refused| refused.check(&model.0, &model.1, &tensors))
    }

    const NAN: f64 = f64::NAN;
    const INFINITY: f64 = f64::INFINITY;

    #[test]
    fn missing_values_are_refused_with_row_and_column() {
        let names = ("feature_names", r#"["area", "rooms"]"#);
        let model = metadata(&[("features", 2)], &[names, ("missing_values", "no")]);
        let fault = ask(&model, &[("features", 2, &[1.0, 2.0, 3.0, NAN])]).unwrap_err();
        assert!(fault.starts_with("row 2: 'rooms' is missing (NaN)"), "{fault}");
        assert_eq!(ask(&model, &[("features", 2, &[1.0, INFINITY])]), Ok(()));

        let model = metadata(&[("features", 2)], &[("missing_values", "no")]);
        let fault = ask(&model, &[("features", 2, &[1.0, NAN])]).unwrap_err();
        assert!(fault.starts_with("row 1: 'features', column 1 is missing"), "{fault}");
    }

    #[test]
    fn a_list_names_the_columns_that_must_have_values() {
        let model = metadata(&[("features", 2)], &[("missing_values", "[1]")]);
        assert_eq!(ask(&model, &[("features", 2, &[NAN, 2.0])]), Ok(()));
        assert!(ask(&model, &[("features", 2, &[1.0, 2.0, NAN, NAN])]).is_err());

        let model = metadata(&[("a", 1), ("b", 1)], &[("missing_values", "[1]")]);
        let (one, none): (&[f64], &[f64]) = (&[1.0, 2.0], &[1.0, NAN]);
        assert_eq!(ask(&model, &[("a", 1, none), ("b", 1, one)]), Ok(()));
        let fault = ask(&model, &[("b", 1, none), ("a", 1, one)]).unwrap_err();
        assert!(fault.starts_with("row 2: 'b' is missing (NaN)"), "{fault}");
    }

    #[test]
    fn infinite_values_are_refused_where_the_property_says_so() {
        let model = metadata(&[("features", 1)], &[("infinite_values", "no")]);
        let fault = ask(&model, &[("features", 1, &[0.0, -INFINITY])]).unwrap_err();
        assert!(fault.contains("row 2") && fault.contains("is infinite"), "{fault}");
        assert_eq!(ask(&model, &[("features", 1, &[NAN])]), Ok(()));
    }

    #[test]
    fn texts_for_people_refuse_nothing() {
        for text in ["yes", "some", "", "{}", "[-1]"] {
            let model = metadata(&[("features", 1)], &[("missing_values", text)]);
            assert_eq!(ask(&model, &[("features", 1, &[NAN])]), Ok(()), "{text}");
        }
    }
}
