//! Converts values between the interface and PostgreSQL.
//!
//! A parameter is sent as text, and the server parses it as the expected type. Results have the few
//! types of the interface; a model casts other types to text.

use std::error::Error;

use tokio_postgres::Column;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::super::{SqlError, Value};
use crate::model::hex;

/// A statement parameter.
#[derive(Debug)]
pub(super) struct Parameter<'a>(pub(super) &'a Value);

/// A value of a row.
pub(super) struct Cell(pub(super) Value);

type BoxError = Box<dyn Error + Sync + Send>;

impl ToSql for Parameter<'_> {
    fn to_sql(&self, _type: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Boolean(boolean) => {
                out.extend_from_slice(if *boolean { b"true" } else { b"false" })
            }
            Value::Integer(integer) => out.extend_from_slice(integer.to_string().as_bytes()),
            Value::Real(real) => out.extend_from_slice(format!("{real:?}").as_bytes()),
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
            Value::Blob(bytes) => {
                out.extend_from_slice(b"\\x");
                out.extend_from_slice(hex(bytes).as_bytes());
            }
        }

        Ok(IsNull::No)
    }

    fn accepts(_type: &Type) -> bool {
        true
    }

    fn encode_format(&self, _type: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

impl FromSql<'_> for Cell {
    fn from_sql(kind: &Type, raw: &[u8]) -> Result<Self, BoxError> {
        Ok(Cell(match *kind {
            Type::BOOL => Value::Boolean(bool::from_sql(kind, raw)?),
            Type::INT2 => Value::Integer(i16::from_sql(kind, raw)?.into()),
            Type::INT4 => Value::Integer(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Value::Integer(i64::from_sql(kind, raw)?),
            Type::OID => Value::Integer(u32::from_sql(kind, raw)?.into()),
            Type::FLOAT4 => Value::Real(f32::from_sql(kind, raw)?.into()),
            Type::FLOAT8 => Value::Real(f64::from_sql(kind, raw)?),
            Type::BYTEA => Value::Blob(raw.to_owned()),
            // The first byte is the version of the format.
            Type::JSONB => {
                Value::Text(std::str::from_utf8(raw.get(1..).unwrap_or_default())?.to_owned())
            }
            _ => Value::Text(std::str::from_utf8(raw)?.to_owned()),
        }))
    }

    fn from_sql_null(_type: &Type) -> Result<Self, BoxError> {
        Ok(Cell(Value::Null))
    }

    fn accepts(_type: &Type) -> bool {
        true
    }
}

/// Types that can be read. All others must be cast to text.
const READABLE_TYPES: [Type; 15] = [
    Type::BOOL,
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::OID,
    Type::FLOAT4,
    Type::FLOAT8,
    Type::BYTEA,
    Type::JSON,
    Type::JSONB,
    Type::TEXT,
    Type::VARCHAR,
    Type::BPCHAR,
    Type::NAME,
    Type::UNKNOWN,
];

/// Fails with `Invalid` if a column has a type that cannot be read.
pub(super) fn check_columns(columns: &[Column]) -> Result<(), SqlError> {
    match columns
        .iter()
        .find(|column| !READABLE_TYPES.contains(column.type_()) && *column.type_() != Type::VOID)
    {
        None => Ok(()),
        Some(column) => Err(SqlError::Invalid(format!(
            "column '{}' is of type {}, which a model cannot read; select it as text, as in cast({} as text)",
            column.name(),
            column.type_(),
            column.name()
        ))),
    }
}
