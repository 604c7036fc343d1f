//! Transactions: several statements that happen together or not at all.

use std::time::{Duration, Instant};

use super::{ACCOUNTS, add, begins, execute, query, results, serve, setup, step, steps, take};

const ADD: &str = "insert into transfers values ('x')";
const COUNT: &str = "select count(*) from transfers";

fn within(last: &str) -> Vec<String> {
    vec![
        step("begin", &[]),
        step("in execute", &[ADD]),
        step("in query", &[COUNT]),
        step(last, &[]),
    ]
}

#[test]
fn transactions_commit_or_roll_back() {
    let server = serve(ACCOUNTS);
    for (last, kept) in [("rollback", "i:0"), ("drop", "i:0"), ("commit", "i:1")] {
        assert_eq!(take(&server, &within(last)), ["ok", "1", "i:1", "ok"], "{last}");
        assert_eq!(query(&server, COUNT), kept, "{last}");
    }
}

#[test]
fn uncommitted_changes_are_invisible() {
    let server = serve(ACCOUNTS);
    let taken = [
        step("begin", &[]),
        step("in execute", &[ADD]),
        step("query", &[COUNT]),
        step("execute", &[ADD]),
        step("begin", &[]),
        step("commit", &[]),
        step("query", &[COUNT]),
    ];
    // A call that wrote outside its own transaction would wait for itself.
    assert_eq!(take(&server, &taken), ["ok", "1", "i:0", "busy", "busy", "ok", "i:1"]);
}

#[test]
fn an_error_rolls_back_its_statement_only() {
    let server = serve(ACCOUNTS);
    let taken = [
        step("begin", &[]),
        step("in execute", &[ADD]),
        step("in execute", &[ADD]),
        step("in execute", &["selec"]),
        step("in execute", &["attach 'x' as y"]),
        step("in execute", &["commit"]),
        step("in execute", &["insert into transfers values ('y')"]),
        step("commit", &[]),
    ];
    let taken = take(&server, &taken);
    begins(&taken[2], "constraint: ");
    begins(&taken[3], "invalid: ");
    begins(&taken[4], "denied: ");
    begins(&taken[5], "denied: ");
    assert_eq!(taken[6..], ["1", "ok"]);
    assert_eq!(query(&server, COUNT), "i:2");
}

#[test]
fn a_trap_or_the_calls_end_rolls_back() {
    for pooled in ["", "isolation = 'pooled'\n"] {
        let server = setup(ACCOUNTS);
        server.models().settings("sql-steps", &format!("{pooled}{}", super::SETTINGS));
        let server = server.start();
        server.until_ready("sql-steps", 1);
        let begun = [step("begin", &[]), step("in execute", &[ADD])];
        let with = |last: String| steps(&[begun.as_slice(), &[last]].concat());
        server.infer("sql-steps", &with(step("trap", &[]))).refused(500, "model_trapped");
        assert_eq!(results(&server.infer("sql-steps", &steps(&begun))), ["ok", "1"]);
        let call =
            server.call("POST", "/v2/models/sql-steps/infer").header("wardian-deadline-ms", "100");
        call.json(&with(step("sleep", &["60000"]))).send().refused(504, "deadline_exceeded");
        assert_eq!(query(&server, COUNT), "i:0");
        assert_eq!(take(&server, &within("commit")), ["ok", "1", "i:1", "ok"]);
    }
}

#[test]
fn a_long_transaction_is_ended() {
    let server = setup(ACCOUNTS).config("[database]\ntransaction_time = '300ms'").start();
    server.until_ready("sql-steps", 1);
    let begun = [step("begin", &[]), step("in execute", &[ADD])];
    let sleeping =
        [&begun[..], &[step("sleep", &["1500"]), step("in execute", &[ADD]), step("commit", &[])]]
            .concat();
    let pending = server.call("POST", "/v2/models/sql-steps/infer").json(&steps(&sleeping)).begin();
    server.until_busy("sql-steps", 1);
    // A writer waits no longer than its limit, even if the call continues.
    let started = Instant::now();
    assert_eq!(execute(&server, "insert into transfers values ('y')"), "1");
    assert!(started.elapsed() < Duration::from_millis(1400), "{:?}", started.elapsed());
    let told = results(&pending.answer());
    assert_eq!(told[..3], ["ok", "1", "ok"]);
    for late in &told[3..] {
        assert_eq!(late, "limit: the transaction was open for too long, and was rolled back");
    }
    assert_eq!(query(&server, COUNT), "i:1");
    // A statement without end does not keep the transaction open either.
    let endless = "insert into transfers with recursive n(i) as (select 1 union all select i + 1 from n) select i from n";
    let told =
        take(&server, &[step("begin", &[]), step("in execute", &[endless]), step("commit", &[])]);
    assert_eq!(told[1], "limit: the transaction was open for too long, and was rolled back");
    begins(&told[2], "unavailable: an earlier error has rolled the transaction back");
    assert_eq!(query(&server, COUNT), "i:1");
}

#[test]
fn a_writer_that_waits_too_long_is_busy() {
    let server = setup(ACCOUNTS)
        .config("[database]\nbusy_timeout = '200ms'\ntransaction_time = '30s'")
        .start();
    server.until_ready("sql-steps", 1);
    let holding = [step("begin", &[]), step("in execute", &[ADD]), step("sleep", &["60000"])];
    let pending = server.call("POST", "/v2/models/sql-steps/infer").json(&steps(&holding)).begin();
    server.until_busy("sql-steps", 1);
    crate::harness::until("that the other has begun", || {
        execute(&server, "delete from transfers") == "busy"
    });
    assert_eq!(take(&server, &[step("begin", &[])]), ["busy"]);
    assert_eq!(query(&server, COUNT), "i:0", "readers go on");
    pending.hang_up();
    crate::harness::until("that the other is over", || {
        execute(&server, "delete from transfers") == "0"
    });
}

#[test]
fn versions_of_two_models_share_the_tenants_tables() {
    let server = serve(ACCOUNTS);
    add(server.models(), "other", 1, "");
    server.until_ready("other", 1);
    let found =
        server.infer("other", &steps(&[step("query", &["select sum(balance) from accounts"])]));
    assert_eq!(results(&found), [super::SUM]);
}
