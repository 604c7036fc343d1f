//! Replacements for SQL functions that may run long within one call. They end in time with their
//! statement.
//!
//! SQLite does not call the progress handler while a function runs. The functions here return the
//! same results as SQLite's and check for cancellation every few bytes. All other functions take
//! time proportional to their arguments, which are bounded: a few milliseconds.

mod characters;
mod json_patch;
mod pattern;
mod search;
#[cfg(test)]
mod tests;
mod trim_unhex;
mod values;

use std::cell::Cell;

use rusqlite::functions::{Context, FunctionFlags, SqlFnOutput};
use rusqlite::{Connection, Error, ffi};

pub(super) use self::pattern::MAX_PATTERN;
use self::values::Builtins;
use super::watchdog::Watchdog;

/// Steps between two checks for cancellation: about ten microseconds of work.
const CHECK_STEPS: usize = 4096;

/// Replaces SQLite's functions of the same names on a connection.
pub(super) fn register(connection: &Connection, watch: &Watchdog) -> rusqlite::Result<()> {
    let functions = Functions { connection, watch };
    functions.add("instr", 2, search::instr)?;
    functions.add("replace", 3, search::replace)?;
    functions.add("trim", 2, |call| trim_unhex::trim(call, trim_unhex::TrimEnds::Both))?;
    functions.add("ltrim", 2, |call| trim_unhex::trim(call, trim_unhex::TrimEnds::Left))?;
    functions.add("rtrim", 2, |call| trim_unhex::trim(call, trim_unhex::TrimEnds::Right))?;
    functions.add("unhex", 2, trim_unhex::unhex)?;
    functions.add("like", 2, pattern::like)?;
    functions.add("like", 3, pattern::like)?;
    functions.add("glob", 2, pattern::glob)?;
    functions.add("json_patch", 2, json_patch::json_patch)?;

    functions.add("jsonb_patch", 2, json_patch::jsonb_patch)
}

struct Functions<'c> {
    connection: &'c Connection,
    watch: &'c Watchdog,
}

impl Functions<'_> {
    fn add<T: SqlFnOutput>(
        &self,
        name: &str,
        arguments: i32,
        function: impl Fn(&Call<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> rusqlite::Result<()> {
        // The flags of SQLite's own functions, so that these may be used in indexes, views and
        // triggers.
        let flags = FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_INNOCUOUS
            | FunctionFlags::SQLITE_RESULT_SUBTYPE;
        let (check, originals) = (StopCheck::new(self.watch.clone()), Builtins::default());
        self.connection.create_scalar_function(name, arguments, flags, move |context| {
            function(&Call { context, check: &check, builtins: &originals })
        })
    }
}

/// One call of a function.
struct Call<'a> {
    context: &'a Context<'a>,
    check: &'a StopCheck,
    builtins: &'a Builtins,
}

/// Ends a function when its statement must end.
struct StopCheck {
    watch: Watchdog,
    /// Steps since the last check. They add up over calls: a statement may consist of many short
    /// calls.
    steps: Cell<usize>,
}

impl StopCheck {
    fn new(watch: Watchdog) -> Self {
        StopCheck { watch, steps: Cell::new(0) }
    }

    /// Counts steps of work. Fails if the statement must end.
    #[inline]
    fn add_steps(&self, steps: usize) -> rusqlite::Result<()> {
        let done = self.steps.get().saturating_add(steps);
        self.steps.set(done);
        if done < CHECK_STEPS { Ok(()) } else { self.check_stop() }
    }

    #[cold]
    fn check_stop(&self) -> rusqlite::Result<()> {
        self.steps.set(0);

        if self.watch.should_stop() {
            Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None))
        } else {
            Ok(())
        }
    }
}

/// Error of an invalid call, for the author of the statement.
fn invalid(text: &str) -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(text.to_owned()))
}

/// Error of a value above the size limit.
fn too_big() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None)
}
