//! Values are stored and read back unchanged.

use super::{ACCOUNTS, add, begins, execute, query, serve, setup, step, steps, take};
use crate::harness::{Server, sql_steps, until};

#[test]
fn every_type_survives_a_round_trip() {
    let server = serve("");
    for (given, found) in [
        ("null", "null"),
        ("i:0", "i:0"),
        ("i:-9223372036854775808", "i:-9223372036854775808"),
        ("i:9223372036854775807", "i:9223372036854775807"),
        ("r:1.5", "r:1.5"),
        ("r:-0.0", "r:-0.0"),
        ("r:1e308", "r:1e308"),
        ("r:inf", "r:inf"),
        // SQLite has neither NaN nor booleans.
        ("r:NaN", "null"),
        ("b:true", "i:1"),
        ("b:false", "i:0"),
        ("t:", "t:"),
        ("t:grüße 🌱", "t:grüße 🌱"),
        ("x:", "x:"),
        ("x:00ff10", "x:00ff10"),
    ] {
        let asked = [step("query", &["select $1", given])];
        assert_eq!(take(&server, &asked), [found], "{given}");
    }
}

#[test]
fn parameters_are_matched_by_number() {
    let server = serve("");
    let found = |statement: &str| {
        take(&server, &[step("query", &[statement, "i:1", "i:2", "i:3"])]).remove(0)
    };
    assert_eq!(found("select $2, $1, $3"), "i:2,i:1,i:3");
    assert_eq!(found("select ?3, ?1, ?2, ?3"), "i:3,i:1,i:2,i:3");
    assert_eq!(found("select ?, ?, ?"), "i:1,i:2,i:3");
    assert_eq!(found("select $3"), "i:3");
    assert_eq!(found("select $1"), "invalid: the statement has 1 parameters, and 3 are given");
    assert_eq!(found("select $4"), "invalid: the statement has 4 parameters, and 3 are given");
    begins(&found("select :name"), "invalid: parameter :name has no number");
    begins(&found("select $0"), "invalid: parameter $0 has no number");
}

#[test]
fn statement_errors_are_explained() {
    let server = serve(ACCOUNTS);
    for (statement, says) in [
        ("selec 1", "invalid: near \"selec\": syntax error"),
        ("select * from nowhere", "invalid: no such table: nowhere"),
        ("select \"nowhere\"", "invalid: no such column"),
        ("select 1; select 2", "invalid: one statement at a time"),
        ("insert into accounts values (1, 1)", "constraint: UNIQUE constraint failed: accounts.id"),
        (
            "insert into accounts values (9, null)",
            "constraint: NOT NULL constraint failed: accounts.balance",
        ),
    ] {
        begins(&execute(&server, statement), says);
    }
    assert_eq!(query(&server, "select sum(balance) from accounts"), "i:4000");
}

#[test]
fn changes_are_counted_and_can_be_returned() {
    let server = serve(ACCOUNTS);
    assert_eq!(execute(&server, "update accounts set balance = balance + 1 where id <= 3"), "3");
    assert_eq!(execute(&server, "create table other (x)"), "0");
    assert_eq!(execute(&server, "select 1"), "0");
    assert_eq!(query(&server, "insert into other values (7), (8) returning x"), "i:7;i:8");
    assert_eq!(
        query(&server, "with one as (select 1) insert into other select * from one returning x"),
        "i:1"
    );
    assert_eq!(query(&server, "select count(*) from other"), "i:3");
}

#[test]
fn rows_survive_swaps_and_restarts() {
    let server = serve(ACCOUNTS);
    assert_eq!(execute(&server, "update accounts set balance = 7 where id = 1"), "1");
    add(server.models(), "sql-steps", 2, ACCOUNTS);
    server.until_ready("sql-steps", 2);
    assert_eq!(query(&server, "select balance from accounts where id = 1"), "i:7");
    let setup = server.stop();
    let file = setup.state().join("tenants/default/database.sqlite");
    assert!(file.exists() && !file.with_extension("sqlite-wal").exists(), "it is closed well");
    let server = setup.start();
    server.until_ready("sql-steps", 2);
    assert_eq!(query(&server, "select balance from accounts where id = 1"), "i:7");
}

#[test]
fn the_database_requires_a_grant() {
    let server = Server::with_models(|models| models.bare("sql-steps", sql_steps(""))).start();
    server.until_refused("sql-steps", 1, "wardian:model/sql");
    server.until_refused("sql-steps", 1, "[capabilities] sql = true");
}

#[test]
fn load_cannot_use_the_database() {
    let server = setup("load create table t (x)").start();
    server.until_refused("sql-steps", 1, "a model has no database while it loads");
}

#[test]
fn statements_are_counted() {
    let server = serve(ACCOUNTS);
    query(&server, "select 1");
    query(&server, "select * from nowhere");
    assert!(server.metric("wardian_sql_statement_seconds_count{tenant=\"default\"}") >= Some(2.0));
    assert_eq!(
        server.metric("wardian_sql_errors_total{tenant=\"default\",reason=\"invalid\"}"),
        Some(1.0)
    );
    assert!(
        server.metric("wardian_tenant_held{tenant=\"default\",resource=\"database\"}")
            > Some(8192.0)
    );
}

#[test]
fn a_removed_tenants_statement_is_not_counted() {
    let settings = "poll_interval = '20ms'\nsettle = '20ms'\n[database]\nstatement_time = '4s'";
    let server = super::serve_two(settings);
    let two = server.tenant("two");
    assert_eq!(super::query_as(&two, "select 1"), "i:1");
    let counted = || {
        let of = |name: &str| server.metric(&format!("wardian_sql_{name}{{tenant=\"two\""));
        (of("statement_seconds_count"), of("errors_total"))
    };
    assert_eq!(counted(), (Some(1.0), None));
    let endless =
        "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
    let pending = two
        .call("POST", "/v2/models/sql-steps/infer")
        .json(&steps(&[step("query", &[endless])]))
        .begin();
    until("that it is under way", || {
        two.get("/v2/models/sql-steps/config").json()["wardian"]["instances"]["busy"] == 1
    });
    let rest = format!("{settings}\n[tenants.default]\n[tenants.one]\nrepository = 'one'\n");
    std::fs::write(server.directory().join("wardian.toml"), rest).unwrap();
    until("that the tenant's counts are gone", || counted() == (None, None));
    assert_eq!(super::results(&pending.answer()), ["limit: the statement took longer than 4s"]);
    assert_eq!(counted(), (None, None));
}
