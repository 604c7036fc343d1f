//! Allowlist of the first words of statements.
//!
//! PostgreSQL isolates the tenants. This check keeps a statement from ending a transaction of the
//! host, and from leaving state in a connection that another call uses next.

use super::super::SqlError;
use super::super::own_tables::HOST_PREFIX;

const ALLOWED_FIRST_WORDS: [&str; 18] = [
    "select", "insert", "update", "delete", "merge", "with", "values", "table", "create", "alter",
    "drop", "truncate", "comment", "explain", "analyze", "refresh", "reindex", "cluster",
];

/// Denied words, which change the state of a connection or reach outside the database.
const DENIED_WORDS: [&str; 8] = [
    "set_config",
    "pg_advisory_lock",
    "dblink",
    "lo_import",
    "lo_export",
    "pg_read_file",
    "pg_ls_dir",
    "temp",
];

/// Checks one statement.
pub(super) fn check(text: &str) -> Result<(), SqlError> {
    let lower = text.to_ascii_lowercase();
    if let Some(own) = words(&lower).find(|word| word.starts_with(HOST_PREFIX)) {
        return Err(SqlError::Denied(format!(
            "names that begin with {HOST_PREFIX} are the host's own, as is {own}"
        )));
    }

    let first = first_word(&lower);
    if !ALLOWED_FIRST_WORDS.contains(&first) {
        return Err(SqlError::Denied(format!(
            "a statement that begins with '{first}' is not permitted; transactions are begun and ended by the \
             interface's own functions"
        )));
    }

    let refused = |word: &&str| DENIED_WORDS.contains(word) || *word == "temporary";
    match words(&lower).find(refused) {
        Some(word) => Err(SqlError::Denied(format!("{word} is not permitted"))),
        None => Ok(()),
    }
}

/// Checks the statements of a migration. Bodies of functions are not parsed.
pub(super) fn check_all(text: &str) -> Result<(), SqlError> {
    if text.contains('$') {
        return check(text);
    }
    text.split(';').filter(|statement| !first_word(statement).is_empty()).try_for_each(check)
}

/// True if a statement may both change rows and return rows.
pub(super) fn may_return_changes(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    !matches!(first_word(&lower), "select" | "values" | "table") && lower.contains("returning")
}

fn first_word(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, rest)| rest).trim_start();
        } else if let Some(inner) = rest.strip_prefix('(') {
            rest = inner.trim_start();
        } else {
            return words(rest).next().unwrap_or_default();
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_between = |character: char| !character.is_alphanumeric() && character != '_';
    text.split(is_between).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_end_a_transaction_or_leave_state_are_denied() {
        for text in [
            "commit",
            "BEGIN",
            "rollback",
            "end",
            "abort",
            "savepoint s",
            "set role x",
            "reset all",
            "copy t to stdout",
            "do $$ begin end $$",
            "call p()",
            "listen x",
            "-- select\ncommit",
            "/* select */ commit",
            "vacuum",
            "",
            "prepare transaction 'x'",
            "select set_config('a', 'b', false)",
            "create temp table t (x int)",
            "select * from Wardian_migrations",
            "select * from \"wardian_migrations\"",
            "lock table t",
            "grant a to b",
        ] {
            assert!(matches!(check(text), Err(SqlError::Denied(_))), "{text}");
        }

        for text in [
            "select 1",
            "(select 1) union (select 2)",
            "-- x\n insert into t values (1)",
            "with a as (select 1) select 2",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }

        assert!(check_all("create table t (x int); commit; drop table t").is_err());
        assert_eq!(check_all("create table t (x int);\n insert into t values (1);\n"), Ok(()));
    }
}
