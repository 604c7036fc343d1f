//! Tables that are created and changed by the versions that need them.

use super::{ACCOUNTS, add, begins, execute, query, results, serve, setup, step, steps};
use crate::harness::{Pending, Server, scripted, until};

const NOTE: &str =
    "migrate 002-note alter table transfers add column note text not null default 'none'";

fn both() -> String {
    format!("{ACCOUNTS}\n{NOTE}")
}

#[test]
fn migrations_run_once_in_order() {
    let server = serve(ACCOUNTS);
    assert_eq!(execute(&server, "insert into transfers values ('before')"), "1");
    add(server.models(), "sql-steps", 2, &both());
    server.until_ready("sql-steps", 2);
    assert_eq!(query(&server, "select name, note from transfers"), "t:before,t:none");
    let server = server.stop().start();
    server.until_ready("sql-steps", 2);
    assert_eq!(query(&server, "select sum(balance) from accounts"), super::SUM);
    // An older version has fewer migrations, which is no fault.
    server.models().remove("sql-steps/2");
    server.until_ready("sql-steps", 1);
    assert_eq!(query(&server, "select note from transfers"), "t:none");
}

#[test]
fn a_failed_migration_rolls_back() {
    let server = serve(ACCOUNTS);
    let script =
        format!("{}\nmigrate 003-wrong create table half (x); create table accounts (x)", both());
    add(server.models(), "sql-steps", 2, &script);
    server.until_refused(
        "sql-steps",
        2,
        "migrate: migration '003-wrong': table accounts already exists",
    );
    begins(&query(&server, "select note from transfers"), "invalid: no such column");
    begins(&query(&server, "select * from half"), "invalid: no such table");
    assert_eq!(execute(&server, "insert into transfers values ('after')"), "1");
    add(server.models(), "sql-steps", 3, &both());
    server.until_ready("sql-steps", 3);
    assert_eq!(query(&server, "select note from transfers"), "t:none");
}

#[test]
fn a_failed_validation_rolls_back() {
    let server = serve(ACCOUNTS);
    for (version, script, reason) in [
        (2, "warm insert into nowhere values (1)", "warm-up: "),
        (3, "warm drop table accounts", "golden: request 1: "),
    ] {
        let golden = r#"{"cases": [{"request": {"inputs": [{"name": "steps", "datatype": "BYTES", "shape": [1],
            "data": ["query\u001fselect count(*) from accounts"]}]}, "response": {"outputs": [{"name": "results",
            "datatype": "BYTES", "shape": [1], "data": ["i:4"]}]}}]}"#;
        server.models().put(&format!("sql-steps/{version}/golden.json"), golden);
        add(server.models(), "sql-steps", version, &format!("{}\n{script}", both()));
        server.until_refused("sql-steps", version, reason);
        begins(&query(&server, "select note from transfers"), "invalid: no such column");
        assert_eq!(query(&server, "select sum(balance) from accounts"), super::SUM);
    }
}

#[test]
fn removal_during_a_load_rolls_back() {
    let (server, holding) = loading();
    server.models().remove("sql-steps/2");
    until_gone(&server);
    assert_eq!(server.until_state("sql-steps", 2, "LOADING").reason, "");
    holding.hang_up();
    until("the end of the load", || server.entry("sql-steps", 2).is_none());
    server.until_ready("sql-steps", 1);
    begins(&query(&server, "select note from transfers"), "invalid: no such column");
}

#[test]
fn unloading_during_a_load_rolls_back() {
    let (server, holding) = loading();
    server.unload("sql-steps").ok();
    assert_eq!(server.until_state("sql-steps", 2, "LOADING").reason, "");
    holding.hang_up();
    server.until_refused("sql-steps", 2, "unloaded on request");
    server.models().remove("sql-steps/2");
    until_gone(&server);
    server.load("sql-steps").ok();
    begins(&query(&server, "select note from transfers"), "invalid: no such column");
}

/// Starts a server whose SQL model serves, and which loads another version as soon as a call has
/// released the database.
fn loading() -> (Server, Pending) {
    // Long enough that other writers wait for this call, and not for a thread that is slow to
    // start.
    let server =
        setup(ACCOUNTS).config("[database]\nbusy_timeout = '3s'\ntransaction_time = '60s'").start();
    server.until_ready("sql-steps", 1);
    let held = [
        step("begin", &[]),
        step("in execute", &["delete from transfers"]),
        step("sleep", &["60000"]),
    ];
    let holding = server.call("POST", "/v2/models/sql-steps/infer").json(&steps(&held)).begin();
    server.until_busy("sql-steps", 1);
    until("that it holds the database", || execute(&server, "delete from transfers") == "busy");
    add(server.models(), "sql-steps", 2, &both());
    server.until_state("sql-steps", 2, "LOADING");
    (server, holding)
}

/// Waits until removed files count as gone. They do once a later change has settled; earlier
/// changes may have been seen in the same scan.
fn until_gone(server: &Server) {
    for name in ["first", "second"] {
        server.models().bare(name, scripted("version=1"));
        server.until_ready(name, 1);
    }
}

#[test]
fn writes_during_validation_are_never_kept() {
    let golden = r#"{"cases": [{"request": {"inputs": [{"name": "steps", "datatype": "BYTES", "shape": [5], "data": [
        "execute\u001finsert into transfers (name) values ('golden')", "begin",
        "in execute\u001finsert into transfers (name) values ('nested')", "commit",
        "query\u001fselect name from transfers order by name"]}]}, "response": {"outputs": [{"name": "results",
        "datatype": "BYTES", "shape": [5], "data": ["1", "ok", "1", "ok", "t:golden;t:nested;t:warm"]}]}}]}"#;
    let with_golden = |models: &crate::harness::Models, version: u64, script: &str| {
        models.put(&format!("sql-steps/{version}/golden.json"), golden);
        add(
            models,
            "sql-steps",
            version,
            &format!("{script}\nwarm insert into transfers (name) values ('warm')"),
        );
    };
    let server = Server::with_models(|models| with_golden(models, 1, ACCOUNTS)).start();
    server.until_ready("sql-steps", 1);
    assert_eq!(query(&server, "select count(*) from transfers"), "i:0");
    assert_eq!(query(&server, "select sum(balance) from accounts"), super::SUM);
    // With one more migration to run, and with none.
    for (version, script) in [(2, both()), (3, both())] {
        with_golden(server.models(), version, &script);
        server.until_ready("sql-steps", version);
        assert_eq!(query(&server, "select count(*) from transfers"), "i:0");
    }
    assert_eq!(query(&server, "select count(note) from transfers"), "i:0");
}

#[test]
fn a_changed_migration_is_refused() {
    let server = serve(ACCOUNTS);
    add(server.models(), "sql-steps", 2, &ACCOUNTS.replace("1000", "2000"));
    server.until_refused(
        "sql-steps",
        2,
        "migrate: migration '001-accounts' has run with other statements",
    );
    assert_eq!(query(&server, "select sum(balance) from accounts"), super::SUM);
    add(server.models(), "sql-steps", 3, &format!("{ACCOUNTS}\n{ACCOUNTS}"));
    server.until_refused("sql-steps", 3, "migrate: two migrations are called '001-accounts'");
}

#[test]
fn migrations_follow_the_statement_rules() {
    let server = setup("migrate 001 create table t (x); attach 'x' as y").start();
    server.until_refused("sql-steps", 1, "migrate: migration '001': a model has one database");
    let statements =
        ["delete from wardian_migrations", "commit", "pragma journal_mode = off", "vacuum"];
    for (version, statement) in (2..).zip(statements) {
        add(server.models(), "sql-steps", version, &format!("migrate 001 {statement}"));
        server.until_refused("sql-steps", version, "migrate: migration '001': ");
    }
}

#[test]
fn models_have_separate_migrations() {
    let models = ["a", "b", "c", "d"];
    let server = Server::with_models(|repository| {
        for name in models {
            add(
                repository,
                name,
                1,
                &format!("migrate 001 create table {name} (x)\nwarm insert into {name} values (1)"),
            );
        }
    })
    .start();
    for name in models {
        server.until_ready(name, 1);
        let found = server
            .infer(name, &steps(&[step("query", &[&format!("select count(*) from {name}")])]));
        assert_eq!(results(&found), ["i:0"]);
    }
}

#[test]
fn validating_an_upload_changes_no_tables() {
    let server = serve(ACCOUNTS);
    let bad = server.upload(
        "sql-steps",
        2,
        crate::harness::sql_steps(&format!("{}\nwarm insert into nowhere values (1)", both())),
    );
    assert_eq!(bad.status, 422, "{bad}");
    begins(&query(&server, "select note from transfers"), "invalid: no such column");
    let good = server.upload("sql-steps", 2, crate::harness::sql_steps(&both()));
    assert!(good.status < 300, "{good}");
    server.until_ready("sql-steps", 2);
    assert_eq!(query(&server, "select count(note) from transfers"), "i:0");
}
