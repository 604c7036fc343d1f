//! What a guest's statement may do: whatever stays within its own tables.
//!
//! SQLite asks while it prepares a statement. What is not named here is refused, so that what a
//! later release adds is refused too until somebody has thought about it. The host's own statements
//! are not asked about; they are never kept for reuse, or a guest that sends the same text would
//! get one that was not.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// The tables of the host's own begin so.
pub(in crate::database) const OWN: &str = "wardian_";

/// Pragmas that only tell something, of one table or of the whole.
const PRAGMAS: [&str; 11] = [
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
    "foreign_key_check",
    "function_list",
    "collation_list",
    "pragma_list",
];

/// Functions that reach outside the database, or tell of the host.
const FUNCTIONS: [&str; 6] = [
    "load_extension",
    "fts3_tokenizer",
    "sqlite_compileoption_get",
    "sqlite_compileoption_used",
    "sqlite_log",
    "sqlite_offset",
];

/// Functions of virtual tables, of which there are none. Some of them run statements of their own.
const OF_VIRTUAL_TABLES: [&str; 14] = [
    "bm25",
    "fts5",
    "fts5_get_locale",
    "fts5_insttoken",
    "fts5_locale",
    "fts5_source_id",
    "highlight",
    "matchinfo",
    "offsets",
    "optimize",
    "rtreecheck",
    "rtreedepth",
    "rtreenode",
    "snippet",
];

/// Calls of functions in one statement. While it computes one value after the other, SQLite asks
/// nobody whether to go on; each call may take some milliseconds.
const CALLS: u32 = 250;

/// They would lie in memory, without a bound.
const NO_TEMPORARY: &str = "temporary tables, views and triggers are not permitted";

/// Who asks at present, and why something was refused. A clone is the same.
#[derive(Clone, Default)]
pub(super) struct Authority {
    host: Arc<AtomicBool>,
    reason: Arc<Mutex<Option<String>>>,
    /// Calls of functions in the present statement.
    calls: Arc<AtomicU32>,
}

impl Authority {
    /// Does something in the host's own name. SQLite may ask again while a statement runs, so all
    /// of it is within.
    pub(super) fn as_host<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = self.host.swap(true, Ordering::Relaxed);
        let outcome = work();
        self.host.store(before, Ordering::Relaxed);
        outcome
    }

    /// Why something was refused last; forgets it.
    pub(super) fn take_reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Notes that what SQLite asks about from here on belongs to another statement.
    pub(super) fn begin_statement(&self) {
        self.calls.store(0, Ordering::Relaxed);
    }

    /// What SQLite is to be told.
    pub(super) fn judge(&self, asked: AuthContext<'_>) -> Authorization {
        // What a trigger or a view does is a guest's, whoever has set it off.
        if self.host.load(Ordering::Relaxed) && asked.accessor.is_none() {
            return Authorization::Allow;
        }
        match self.one_too_many(&asked).or_else(|| refusal(&asked)) {
            None => Authorization::Allow,
            Some(reason) => {
                *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
                Authorization::Deny
            }
        }
    }

    fn one_too_many(&self, asked: &AuthContext<'_>) -> Option<String> {
        let is_call = matches!(asked.action, AuthAction::Function { .. });
        let is_refused = is_call && self.calls.fetch_add(1, Ordering::Relaxed) >= CALLS;
        is_refused.then(|| {
            format!("a statement may call functions {CALLS} times; make several statements of it")
        })
    }
}

/// Why that is not permitted; `None` if it is.
fn refusal(asked: &AuthContext<'_>) -> Option<String> {
    use AuthAction::*;
    // Spelt `temp.t`, it is an ordinary one in another place.
    let creates = matches!(
        asked.action,
        CreateTable { .. } | CreateIndex { .. } | CreateTrigger { .. } | CreateView { .. }
    );
    if asked.database_name == Some("temp") && creates {
        return Some(NO_TEMPORARY.into());
    }
    let table = match asked.action {
        Select | Recursive => return None,
        Function { function_name } => return function(function_name),
        Pragma { pragma_name, pragma_value } => return pragma(pragma_name, pragma_value),
        Transaction { .. } | Savepoint { .. } => {
            return Some("transactions are begun and ended by the interface's own functions, not by statements".into());
        }
        Attach { .. } | Detach { .. } => {
            return Some(
                "a model has one database; ATTACH, DETACH and VACUUM are not permitted".into(),
            );
        }
        CreateTempIndex { .. }
        | CreateTempTable { .. }
        | CreateTempTrigger { .. }
        | CreateTempView { .. }
        | DropTempIndex { .. }
        | DropTempTable { .. }
        | DropTempTrigger { .. }
        | DropTempView { .. } => return Some(NO_TEMPORARY.into()),
        CreateVtable { .. } | DropVtable { .. } => {
            return Some("virtual tables are not permitted".into());
        }
        Read { table_name, .. }
        | Insert { table_name }
        | Update { table_name, .. }
        | Delete { table_name }
        | CreateTable { table_name }
        | DropTable { table_name }
        | AlterTable { table_name, .. }
        | CreateIndex { table_name, .. }
        | DropIndex { table_name, .. }
        | CreateTrigger { table_name, .. }
        | DropTrigger { table_name, .. }
        | Analyze { table_name } => table_name,
        CreateView { view_name } | DropView { view_name } => view_name,
        Reindex { index_name } => index_name,
        _ => return Some("this kind of statement is not permitted".into()),
    };
    let is_own = table.get(..OWN.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWN));
    is_own.then(|| format!("tables whose names begin with {OWN} are the host's own"))
}

fn function(name: &str) -> Option<String> {
    if name.eq_ignore_ascii_case("json_pretty") {
        // It indents in memory without a bound.
        return Some(
            "the function json_pretty is not permitted; indent JSON where it is shown".into(),
        );
    }
    let mut refused = FUNCTIONS.iter().chain(&OF_VIRTUAL_TABLES);
    let is_refused = refused.any(|refused| refused.eq_ignore_ascii_case(name));
    is_refused.then(|| format!("the function {name} is not permitted"))
}

fn pragma(name: &str, value: Option<&str>) -> Option<String> {
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    // Until the end of the transaction, and of nothing else.
    let allowed = PRAGMAS.iter().any(|pragma| is(pragma)) || is("defer_foreign_keys");
    let reads = value.is_none()
        && (is("user_version") || is("page_count") || is("freelist_count") || is("page_size"));
    (!allowed && !reads).then(|| format!("PRAGMA {name} is not permitted"))
}
