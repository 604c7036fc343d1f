//! Permissions of guests' statements: everything that stays within their own tables.
//!
//! SQLite calls the authorizer while it prepares a statement. Only listed actions are permitted, so
//! actions added by a later SQLite release are denied. Statements of the host are not checked. They
//! are never cached: a guest that sends the same text would reuse the unchecked statement.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::super::own_tables::HOST_PREFIX;
use crate::mutex::lock;

/// Permitted pragmas, which read the schema.
const ALLOWED_PRAGMAS: [&str; 11] = [
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

/// Denied functions, which reach outside the database or reveal details of the host.
const DENIED_FUNCTIONS: [&str; 6] = [
    "load_extension",
    "fts3_tokenizer",
    "sqlite_compileoption_get",
    "sqlite_compileoption_used",
    "sqlite_log",
    "sqlite_offset",
];

/// Functions of virtual tables, which do not exist here. Some of them run statements.
const VIRTUAL_TABLE_FUNCTIONS: [&str; 14] = [
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

/// Limit of function calls in one statement. SQLite does not call the progress handler between the
/// calls of one row, and each call may take some milliseconds.
const MAX_FUNCTION_CALLS: u32 = 250;

/// Temporary objects would use memory without a limit.
const NO_TEMPORARY: &str = "temporary tables, views and triggers are not permitted";

/// Current mode and last denial of a connection. A clone is shallow.
#[derive(Clone, Default)]
pub(super) struct Authorizer {
    host: Arc<AtomicBool>,
    reason: Arc<Mutex<Option<String>>>,
    /// Function calls in the current statement.
    calls: Arc<AtomicU32>,
}

impl Authorizer {
    /// Runs host work without checks. SQLite may prepare a statement again while it runs, so
    /// preparing and running both belong inside.
    pub(super) fn as_host<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = self.host.swap(true, Ordering::Relaxed);
        let outcome = work();
        self.host.store(before, Ordering::Relaxed);
        outcome
    }

    /// Returns and clears the reason of the last denial.
    pub(super) fn take_reason(&self) -> Option<String> {
        lock(&self.reason).take()
    }

    /// Starts a new statement, for the limit of function calls.
    pub(super) fn begin_statement(&self) {
        self.calls.store(0, Ordering::Relaxed);
    }

    /// Answers a request of SQLite's authorizer hook.
    pub(super) fn authorize(&self, request: AuthContext<'_>) -> Authorization {
        // Triggers and views are written by guests, even if a statement of the host activates them.
        if self.host.load(Ordering::Relaxed) && request.accessor.is_none() {
            return Authorization::Allow;
        }

        match self.check_call_count(&request).or_else(|| denial(&request)) {
            None => Authorization::Allow,
            Some(reason) => {
                *lock(&self.reason) = Some(reason);
                Authorization::Deny
            }
        }
    }

    fn check_call_count(&self, request: &AuthContext<'_>) -> Option<String> {
        let is_call = matches!(request.action, AuthAction::Function { .. });
        let is_refused =
            is_call && self.calls.fetch_add(1, Ordering::Relaxed) >= MAX_FUNCTION_CALLS;
        is_refused.then(|| {
            format!("a statement may call functions {MAX_FUNCTION_CALLS} times; make several statements of it")
        })
    }
}

/// Returns the reason for a denial; `None` if the action is permitted.
fn denial(request: &AuthContext<'_>) -> Option<String> {
    use AuthAction::*;

    // `CREATE TABLE temp.t` is reported as an ordinary table in the database `temp`.
    let creates = matches!(
        request.action,
        CreateTable { .. } | CreateIndex { .. } | CreateTrigger { .. } | CreateView { .. }
    );

    if request.database_name == Some("temp") && creates {
        return Some(NO_TEMPORARY.into());
    }

    let table = match request.action {
        Select | Recursive => return None,
        Function { function_name } => return function_denial(function_name),
        Pragma { pragma_name, pragma_value } => return pragma_denial(pragma_name, pragma_value),
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
    let is_own =
        table.get(..HOST_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(HOST_PREFIX));

    is_own.then(|| format!("tables whose names begin with {HOST_PREFIX} are the host's own"))
}

fn function_denial(name: &str) -> Option<String> {
    if name.eq_ignore_ascii_case("json_pretty") {
        // It indents in memory without a limit.
        return Some(
            "the function json_pretty is not permitted; indent JSON where it is shown".into(),
        );
    }

    let mut denied = DENIED_FUNCTIONS.iter().chain(&VIRTUAL_TABLE_FUNCTIONS);
    let is_refused = denied.any(|denied| denied.eq_ignore_ascii_case(name));
    is_refused.then(|| format!("the function {name} is not permitted"))
}

fn pragma_denial(name: &str, value: Option<&str>) -> Option<String> {
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    // It applies until the end of the transaction.
    let allowed = ALLOWED_PRAGMAS.iter().any(|pragma| is(pragma)) || is("defer_foreign_keys");
    let reads = value.is_none()
        && (is("user_version") || is("page_count") || is("freelist_count") || is("page_size"));

    (!allowed && !reads).then(|| format!("PRAGMA {name} is not permitted"))
}
