//! `json_patch` and `jsonb_patch`. SQLite looks up each key of the patch in the whole target.
//!
//! SQLite's own functions do the work on a separate connection. The product of both lengths is
//! limited.

use rusqlite::ToSql;
use rusqlite::functions::SubType;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::values::Text;
use super::{Call, invalid};

/// Limit of the product of the lengths of target and patch, in bytes squared: 0.2 seconds of work
/// in the worst case. A target of 1 MiB may have a patch of 1 KiB, and one of 32 KiB a patch of 32
/// KiB.
const PRODUCT: u64 = 1 << 30;

/// Subtype by which SQLite's functions mark a text as JSON.
const JSON: SubType = Some('J' as _);

/// `json_patch(T, P)`: applies the merge patch P to T (RFC 7396).
pub(super) fn json_patch(call: &Call<'_>) -> rusqlite::Result<(Option<Text>, SubType)> {
    let patched = patched(call, "select json_patch(?1, ?2)", |patched| match patched {
        ValueRef::Text(bytes) => Some(Text(bytes.to_vec())),
        _ => None,
    });

    patched.map(|patched| (patched, JSON))
}

/// `jsonb_patch(T, P)`: the same with a result in SQLite's binary JSON.
pub(super) fn jsonb_patch(call: &Call<'_>) -> rusqlite::Result<Option<Vec<u8>>> {
    patched(call, "select jsonb_patch(?1, ?2)", |patched| match patched {
        ValueRef::Blob(bytes) => Some(bytes.to_vec()),
        _ => None,
    })
}

/// Runs the statement with both arguments. `read` takes its result, which is NULL for a NULL.
fn patched<T>(
    call: &Call<'_>,
    statement: &str,
    read: impl Fn(ValueRef<'_>) -> T,
) -> rusqlite::Result<T> {
    let (target, patch) = (call.context.get_raw(0), call.context.get_raw(1));
    let product = length(target).saturating_mul(length(patch));
    if product > PRODUCT {
        return Err(invalid(
            "the target and the patch of json_patch are too long together; patch less at a time",
        ));
    }

    // Counted before the call, at the worst case, so that many calls do not add up unnoticed.
    call.check.add_steps(usize::try_from(product / 64).unwrap_or(usize::MAX))?;

    let mut statement = call.builtins.connection()?.prepare_cached(statement)?;
    statement.query_row([Argument(target), Argument(patch)], |row| row.get_ref(0).map(&read))
}

fn length(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() as u64,
        _ => 0,
    }
}

struct Argument<'a>(ValueRef<'a>);

impl ToSql for Argument<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}
