//! The JSON schemas of fields and of values.

use serde_json::{Value, json};

use super::fields::Fields;
use super::row_layout::{stacks_rows, varies_by_row};
use crate::model::{Datatype, Metadata, TensorSpec};

/// A field that a record of a model may have.
pub(in crate::api) struct FieldSchema {
    pub(in crate::api) name: String,
    /// True if a record must have it.
    pub(in crate::api) required: bool,
    pub(in crate::api) schema: Value,
}

/// Returns an upper bound of the memory of a model's schemas, in bytes: of its fields and of its
/// outputs, once each.
pub(in crate::api) fn schema_memory(metadata: &Metadata) -> usize {
    /// A level of a schema is a small map.
    const BYTES_PER_LEVEL: usize = 1024;

    let fields = Fields::new(metadata, stacks_rows(metadata));
    let columns = fields.columns().map_or(0, |(_, columns)| columns.len());
    let specs = metadata.inputs.iter().chain(&metadata.outputs);
    let levels: usize = specs.map(|spec| 2 + spec.shape.len()).sum();

    BYTES_PER_LEVEL.saturating_mul(columns + levels)
}

/// Returns the fields of a model. A matrix with named columns has these in its place.
pub(in crate::api) fn field_schemas(metadata: &Metadata) -> Vec<FieldSchema> {
    let stacked = stacks_rows(metadata);
    let fields = Fields::new(metadata, stacked);
    let columns = fields.columns();
    let named = |field: usize| fields.name(field).parse::<u64>().is_err();
    let with_columns = columns.clone().filter(|(_, columns)| named(columns.start));

    let mut found = Vec::new();
    for (index, spec) in metadata.inputs.iter().enumerate() {
        match &with_columns {
            Some((matrix, columns)) if *matrix == index => {
                found.extend(columns.clone().map(|column| FieldSchema {
                    name: fields.name(column).into_owned(),
                    required: !spec.optional,
                    schema: element_schema(spec.datatype),
                }));
            }
            _ => found.push(FieldSchema {
                name: spec.name.clone(),
                required: !spec.optional,
                schema: nested(spec.datatype, spec.shape.get(usize::from(stacked)..), false),
            }),
        }
    }

    found
}

/// Returns the schema of an output in one row, or of the whole output.
pub(in crate::api) fn output_schema(spec: &TensorSpec, in_row: bool) -> Value {
    let skipped = usize::from(in_row && varies_by_row(spec));
    nested(spec.datatype, spec.shape.get(skipped..), true)
}

/// Nests elements in a shape. A single element needs no list.
fn nested(datatype: Datatype, shape: Option<&[i64]>, leaves_ones_out: bool) -> Value {
    let shape = shape.unwrap_or_default();
    let is_single = shape.iter().all(|&dimension| dimension == 1);
    let lists =
        shape.iter().filter(|&&dimension| !(is_single || leaves_ones_out && dimension == 1));

    lists.rev().fold(element_schema(datatype), |items, &dimension| match dimension {
        0.. => {
            json!({ "type": "array", "items": items, "minItems": dimension, "maxItems": dimension })
        }
        _ => json!({ "type": "array", "items": items }),
    })
}

/// Returns the schema of an element.
pub(in crate::api) fn element_schema(datatype: Datatype) -> Value {
    let integer = |least: i128, most: i128| {
        let bounds = (i64::try_from(least), i64::try_from(most));
        match bounds {
            (Ok(least), Ok(most)) => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            _ => json!({ "type": "integer", "minimum": 0 }),
        }
    };

    match datatype {
        Datatype::Bool => json!({ "type": "boolean" }),
        Datatype::Uint8 => integer(0, u8::MAX.into()),
        Datatype::Uint16 => integer(0, u16::MAX.into()),
        Datatype::Uint32 => integer(0, u32::MAX.into()),
        Datatype::Uint64 => integer(0, u64::MAX.into()),
        Datatype::Int8 => integer(i8::MIN.into(), i8::MAX.into()),
        Datatype::Int16 => integer(i16::MIN.into(), i16::MAX.into()),
        Datatype::Int32 => integer(i32::MIN.into(), i32::MAX.into()),
        Datatype::Int64 => json!({ "type": "integer", "format": "int64" }),
        Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 | Datatype::Fp64 => {
            json!({ "type": "number" })
        }
        Datatype::Bytes => json!({ "type": "string" }),
    }
}
