//! Arguments and results of SQL functions. SQLite's texts may contain any bytes.

use std::borrow::Cow;
use std::cell::OnceCell;

use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

use super::super::super::limits::MAX_VALUE;
use super::Call;

/// An empty in-memory connection with SQLite's built-in functions.
#[derive(Default)]
pub(super) struct Builtins(OnceCell<Connection>);

impl Builtins {
    pub(super) fn connection(&self) -> rusqlite::Result<&Connection> {
        if let Some(connection) = self.0.get() {
            return Ok(connection);
        }

        let opened = Connection::open_in_memory()?;
        opened.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE as i32)?;
        Ok(self.0.get_or_init(|| opened))
    }

    /// Formats a number as SQLite does.
    fn text(&self, number: f64) -> rusqlite::Result<Vec<u8>> {
        let mut cast = self.connection()?.prepare_cached("select cast(?1 as text)")?;
        cast.query_row([number], |row| row.get::<_, String>(0)).map(String::into_bytes)
    }
}

impl Call<'_> {
    /// Returns an argument as text; `None` for NULL. The text of a blob is its bytes.
    pub(super) fn text(&self, index: usize) -> rusqlite::Result<Option<Cow<'_, [u8]>>> {
        Ok(Some(match self.context.get_raw(index) {
            ValueRef::Null => return Ok(None),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Cow::Borrowed(bytes),
            ValueRef::Integer(number) => Cow::Owned(number.to_string().into_bytes()),
            ValueRef::Real(number) => Cow::Owned(self.builtins.text(number)?),
        }))
    }

    /// Returns an argument as text up to the first zero byte, which ends a text in some functions.
    pub(super) fn text_to_zero(&self, index: usize) -> rusqlite::Result<Option<Cow<'_, [u8]>>> {
        let text = self.text(index)?;
        Ok(text.map(|text| match text.iter().position(|&byte| byte == 0) {
            Some(end) => Cow::Owned(text[..end].to_vec()),
            None => text,
        }))
    }

    pub(super) fn is_blob(&self, index: usize) -> bool {
        matches!(self.context.get_raw(index), ValueRef::Blob(_))
    }
}

/// A text result, which may contain invalid UTF-8.
pub(super) struct Text(pub(super) Vec<u8>);

impl ToSql for Text {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(&self.0)))
    }
}
