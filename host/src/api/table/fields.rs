//! The fields that a table may have: the inputs of a model, and the columns of its matrix.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::missing_texts::MissingTexts;
use crate::model::{Datatype, Metadata, ParameterValue, TensorSpec, hint};

/// The property of a model's metadata that names the columns of its matrix: a JSON array of texts.
const FEATURE_NAMES: &str = "feature_names";

/// The property that names the inputs or columns that a frame's columns became, where a converter
/// renamed them: a JSON object.
const COLUMNS: &str = "columns";

/// Limit of columns that can be named. Wider matrices are given as lists.
const MAX_COLUMNS: u64 = 1 << 16;

/// The fields of a model: first its inputs, then the columns of its matrix if it takes one.
pub(super) struct Fields<'m> {
    inputs: &'m [TensorSpec],
    stacked: bool,
    matrix: Option<Matrix>,
    /// Indexes of the fields with names, ordered by name.
    by_name: Vec<usize>,
    /// More names of fields, ordered by name.
    aliases: Vec<(String, usize)>,
    missing_texts: MissingTexts,
}

/// The input whose columns are fields.
struct Matrix {
    input: usize,
    width: usize,
    /// Empty if the columns have no names but their numbers.
    names: Vec<String>,
    /// True if no name says more than the number of its column.
    numbered: bool,
}

/// The meaning of the elements of a row without names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByPlace {
    /// The columns of the matrix: fields from this one on.
    Columns { first: usize, count: usize },
    /// The row is the cell of this field.
    Cell(usize),
    /// One cell for each input.
    Inputs,
}

impl<'m> Fields<'m> {
    /// Returns the fields of the model with this metadata. `stacked` is false for a request of one
    /// row that fills whole tensors.
    pub(super) fn new(metadata: &'m Metadata, stacked: bool) -> Self {
        let inputs = metadata.inputs.as_slice();
        let mut fields = Fields {
            inputs,
            stacked,
            matrix: matrix(metadata, stacked),
            by_name: Vec::new(),
            aliases: Vec::new(),
            missing_texts: MissingTexts::of(metadata),
        };

        let named = fields.matrix.as_ref().map_or(0, |matrix| matrix.names.len());
        let mut by_name: Vec<usize> = (0..inputs.len() + named).collect();
        // A column wins over an input of the same name.
        by_name.sort_by(|&one, &other| {
            fields.name(one).cmp(&fields.name(other)).then(other.cmp(&one))
        });
        by_name.dedup_by(|later, earlier| fields.name(*later) == fields.name(*earlier));
        fields.by_name = by_name;
        fields.aliases = fields.aliases(metadata);

        fields
    }

    fn aliases(&self, metadata: &Metadata) -> Vec<(String, usize)> {
        let names: BTreeMap<String, String> = property(metadata, COLUMNS)
            .and_then(|columns| serde_json::from_str(columns).ok())
            .unwrap_or_default();
        names.into_iter().filter_map(|(alias, name)| Some((alias, self.find(&name, 0)?))).collect()
    }

    /// True if an empty text stands for a missing one in a field.
    pub(super) fn takes_missing_text(&self, field: usize) -> bool {
        self.inputs.get(field).is_some_and(|spec| {
            spec.datatype == Datatype::Bytes && self.missing_texts.contain(field, &spec.name)
        })
    }

    /// True if the rows are stacked along the first dimension.
    pub(super) fn are_stacked(&self) -> bool {
        self.stacked
    }

    /// The number of fields.
    pub(super) fn len(&self) -> usize {
        self.inputs.len() + self.width()
    }

    /// The inputs of the model.
    pub(super) fn inputs(&self) -> &'m [TensorSpec] {
        self.inputs
    }

    fn width(&self) -> usize {
        self.matrix.as_ref().map_or(0, |matrix| matrix.width)
    }

    /// The fields that are columns, in their order, with the input that they are columns of.
    pub(super) fn columns(&self) -> Option<(usize, std::ops::Range<usize>)> {
        let matrix = self.matrix.as_ref()?;
        let first = self.inputs.len();
        Some((matrix.input, first..first + matrix.width))
    }

    /// The field that stands for an input in an error text: its first column if these have names.
    pub(super) fn first_of(&self, input: usize) -> usize {
        let named = |matrix: &&Matrix| matrix.input == input && !matrix.names.is_empty();
        self.matrix.as_ref().filter(named).map_or(input, |_| self.inputs.len())
    }

    /// The input that a field belongs to, and whether the field is a column of it.
    pub(super) fn input_of(&self, field: usize) -> Option<(&'m TensorSpec, bool)> {
        match self.inputs.get(field) {
            Some(spec) => Some((spec, false)),
            None => self.inputs.get(self.matrix.as_ref()?.input).map(|spec| (spec, true)),
        }
    }

    /// The name of a field.
    pub(super) fn name(&self, field: usize) -> Cow<'_, str> {
        if let Some(spec) = self.inputs.get(field) {
            return Cow::Borrowed(&spec.name);
        }

        let column = field - self.inputs.len();
        match self.matrix.as_ref().and_then(|matrix| matrix.names.get(column)) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(column.to_string()),
        }
    }

    /// Finds a field by its name. `likely` is tried first: rows mostly have their fields in order.
    pub(super) fn find(&self, name: &str, likely: usize) -> Option<usize> {
        // An input may have the name of a column, which wins.
        let certain = self.matrix.is_none() || likely >= self.inputs.len();
        if certain && likely < self.by_name.len() && self.name(likely) == name {
            return Some(likely);
        }

        let found = self.by_name.binary_search_by(|&field| self.name(field).as_ref().cmp(name));
        let found = found.ok().and_then(|at| self.by_name.get(at).copied());
        found.or_else(|| self.alias(name)).or_else(|| self.numbered(name))
    }

    fn alias(&self, name: &str) -> Option<usize> {
        let found = self.aliases.binary_search_by(|(alias, _)| alias.as_str().cmp(name)).ok()?;
        self.aliases.get(found).map(|(_, field)| *field)
    }

    /// Finds a column by its number, if it has no name or one that its library made of the number.
    fn numbered(&self, name: &str) -> Option<usize> {
        let matrix = self.matrix.as_ref().filter(|matrix| matrix.numbered)?;
        let column = name.parse::<usize>().ok()?;
        // A number has one way to be written.
        let exact = column < matrix.width && column.to_string() == name;
        exact.then_some(self.inputs.len() + column)
    }

    /// Returns the meaning of the elements of a row without names.
    pub(super) fn by_place(&self) -> ByPlace {
        let required = || {
            let mut fields = self
                .inputs
                .iter()
                .enumerate()
                .filter(|(_, spec)| !spec.optional || self.is_alone());
            fields.next().filter(|_| fields.next().is_none())
        };

        match (&self.matrix, required()) {
            (Some(matrix), _) => ByPlace::Columns { first: self.inputs.len(), count: matrix.width },
            (None, Some((field, _))) => ByPlace::Cell(field),
            (None, None) => ByPlace::Inputs,
        }
    }

    fn is_alone(&self) -> bool {
        self.inputs.len() == 1
    }

    /// Returns the end of an error text for an unknown field: the nearest names.
    pub(super) fn hint(&self, unknown: &str) -> String {
        let names = self.matrix.iter().flat_map(|matrix| &matrix.names).map(String::as_str);
        let aliases = self.aliases.iter().map(|(alias, _)| alias.as_str());
        let names = names.chain(self.inputs.iter().map(|spec| spec.name.as_str()));
        hint("fields", unknown, names.chain(aliases))
    }
}

/// Returns the input whose columns are fields, if the model takes a single matrix.
fn matrix(metadata: &Metadata, stacked: bool) -> Option<Matrix> {
    let alone = metadata.inputs.len() == 1;
    let mut required =
        metadata.inputs.iter().enumerate().filter(|(_, spec)| !spec.optional || alone);
    let (input, spec) = required.next().filter(|_| required.next().is_none())?;

    let width = match (stacked, spec.shape.as_slice()) {
        (true, [_, width]) | (false, [1 | -1, width] | [width]) => u64::try_from(*width).ok()?,
        _ => return None,
    };

    let width = usize::try_from(width).ok().filter(|_| (1..=MAX_COLUMNS).contains(&width))?;
    let names = feature_names(metadata, width);
    // A single cell needs no column.
    let numbered = are_numbered(&names);
    (width > 1 || !names.is_empty()).then_some(Matrix { input, width, names, numbered })
}

/// True if no name says more than the number of its column, as `x0`, `x1`.
fn are_numbered(names: &[String]) -> bool {
    let Some(prefix) = names.first().map(|first| first.strip_suffix('0')) else { return true };
    let Some(prefix) = prefix else { return false };
    names.iter().enumerate().all(|(number, name)| {
        name.strip_prefix(prefix).is_some_and(|suffix| suffix == number.to_string())
    })
}

/// Returns the text of a property.
fn property<'m>(metadata: &'m Metadata, name: &str) -> Option<&'m str> {
    let found = metadata.properties.iter().find(|property| property.name == name)?;
    match &found.value {
        ParameterValue::Text(text) => Some(text),
        _ => None,
    }
}

/// Returns the names of that many columns, or no names if the property does not have them.
fn feature_names(metadata: &Metadata, width: usize) -> Vec<String> {
    let Some(text) = property(metadata, FEATURE_NAMES) else { return Vec::new() };

    let names: Vec<String> = serde_json::from_str(text).unwrap_or_default();
    let mut distinct: Vec<&String> = names.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();

    if distinct.len() == width && names.len() == width { names } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Datatype, Parameter};

    fn property(name: &str, value: &str) -> Parameter {
        Parameter { name: name.into(), value: ParameterValue::Text(value.into()) }
    }

    fn metadata(names: &str) -> Metadata {
        let spec = |name: &str, shape: &[i64], optional| TensorSpec {
            name: name.into(),
            datatype: Datatype::Fp64,
            shape: shape.into(),
            optional,
        };

        Metadata {
            inputs: vec![spec("x", &[-1, 3], false), spec("note", &[-1], true)],
            max_batch_size: 8,
            properties: vec![property(FEATURE_NAMES, names)].into(),
            ..Metadata::default()
        }
    }

    #[test]
    fn columns_have_the_names_of_the_property() {
        let metadata = metadata(r#"["b", "a", "x"]"#);
        let fields = Fields::new(&metadata, true);
        let found = |name| fields.find(name, 0);

        assert_eq!((fields.len(), fields.by_place()), (5, ByPlace::Columns { first: 2, count: 3 }));
        assert_eq!([found("b"), found("a"), found("x")], [Some(2), Some(3), Some(4)]);
        assert_eq!([found("note"), found("c"), found("0")], [Some(1), None, None]);
        for likely in 0..6 {
            assert_eq!(fields.find("a", likely), Some(3));
            assert_eq!(fields.find("x", likely), Some(4), "the column wins over the input");
        }
    }

    #[test]
    fn renamed_columns_are_found_under_both_names() {
        let names = r#"["area__m²_", "a", "b"]"#;
        let columns = r#"{"area (m²)": "area__m²_", "Note": "note", "gone": "c"}"#;
        let properties = vec![property(FEATURE_NAMES, names), property(COLUMNS, columns)].into();
        let metadata = Metadata { properties, ..metadata(names) };
        let fields = Fields::new(&metadata, true);
        let found = ["area (m²)", "area__m²_", "Note", "gone"].map(|name| fields.find(name, 0));
        assert_eq!(found, [Some(2), Some(2), Some(1), None]);
        assert!(fields.hint("area (m2)").contains("area (m²)"));
    }

    #[test]
    fn columns_that_a_library_numbered_have_numbers_too() {
        let metadata = metadata(r#"["Column_0", "Column_1", "Column_2"]"#);
        let fields = Fields::new(&metadata, true);
        let found = ["2", "Column_2", "3", "02"].map(|name| fields.find(name, 0));
        assert_eq!(found, [Some(4), Some(4), None, None]);
    }

    #[test]
    fn columns_without_proper_names_have_numbers() {
        for names in ["[]", r#"["a", "b"]"#, r#"["a", "b", "b"]"#, "[1, 2, 3]", "a, b, c", "{"] {
            let metadata = metadata(names);
            let fields = Fields::new(&metadata, true);

            assert_eq!(fields.find("2", 0), Some(4), "{names}");
            assert_eq!(fields.name(4), "2");
            for unknown in ["3", "02", "+2", "a", "-1", ""] {
                assert_eq!(fields.find(unknown, 0), None, "{unknown}");
            }
        }
    }
}
