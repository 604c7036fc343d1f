//! The table of notes.

use wardian_sdk::sql::{self, Row, Rows, SqlError};
use wardian_sdk::{Error, OrError};

/// A note.
pub(crate) struct Note {
    pub(crate) id: i64,
    pub(crate) text: String,
    pub(crate) done: bool,
    /// The time of its creation, in UTC.
    pub(crate) created: String,
}

/// Creates a note.
pub(crate) fn create(text: &str) -> Result<Vec<Note>, Error> {
    let made = sql::query(&returning("insert into notes (text) values ($1)"), (text,));
    // The table's constraint defines a valid note; a violation is the caller's mistake.
    notes(made.map_err(|error| match error {
        SqlError::Constraint(_) => Error::rejected("a note needs a text, of up to 1000 characters"),
        other => other.into(),
    })?)
}

/// Returns the notes after the first `skip`, oldest first, and at most `limit` of them.
pub(crate) fn list(skip: i64, limit: i64) -> Result<Vec<Note>, Error> {
    let query = format!("select {COLUMNS} from notes order by id limit $1 offset $2");
    notes(sql::query(&query, (limit, skip))?)
}

/// Marks a note as done.
pub(crate) fn complete(id: i64) -> Result<Vec<Note>, Error> {
    there(id, sql::query(&returning("update notes set done = true where id = $1"), (id,))?)
}

/// Deletes a note, and returns it.
pub(crate) fn delete(id: i64) -> Result<Vec<Note>, Error> {
    there(id, sql::query(&returning("delete from notes where id = $1"), (id,))?)
}

const COLUMNS: &str = "id, text, done, created";

fn returning(statement: &str) -> String {
    format!("{statement} returning {COLUMNS}")
}

fn there(id: i64, rows: Rows) -> Result<Vec<Note>, Error> {
    rows.first().or_rejected(format_args!("there is no note {id}"))?;
    notes(rows)
}

fn notes(rows: Rows) -> Result<Vec<Note>, Error> {
    rows.iter().map(note).collect()
}

fn note(row: &Row) -> Result<Note, Error> {
    Ok(Note {
        id: row.get("id")?,
        text: row.get("text")?,
        done: row.get("done")?,
        created: row.get("created")?,
    })
}
