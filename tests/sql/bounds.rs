//! Limits of statements, and errors at the limits.

use std::fs;
use std::time::{Duration, Instant};

use super::{ACCOUNTS, add, begins, execute, query, serve, serve_two, setup, step, steps, take};
use crate::harness::{Server, Tenant, until};

/// A statement without end.
const ENDLESS: &str =
    "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";

/// Settings that read the configuration often, for a short test.
const EAGER: &str = "poll_interval = '20ms'\nsettle = '20ms'\n";

#[test]
fn a_statement_without_end_is_stopped() {
    let setup = setup(ACCOUNTS).config("[database]\nstatement_time = '300ms'");
    let server = setup.start();
    server.until_ready("sql-steps", 1);
    let started = Instant::now();
    assert_eq!(query(&server, ENDLESS), "limit: the statement took longer than 300ms");
    let write = format!("insert into transfers {ENDLESS}");
    assert_eq!(execute(&server, &write), "limit: the statement took longer than 300ms");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(query(&server, "select count(*) from transfers"), "i:0");
}

#[test]
fn a_statement_ends_within_one_function() {
    let server = setup("").config("[database]\nstatement_time = '200ms'").start();
    server.until_ready("sql-steps", 1);
    let (long, half) = ("hex(zeroblob(524280))", "hex(zeroblob(240000))");
    for function in [
        format!("instr({long}, {half} || random())"),
        format!("instr(zeroblob(1048000), cast({half} || random() as blob))"),
        format!("replace({long}, {half} || random(), 'x')"),
        format!("trim({long}, 'x' || random() || '0')"),
        format!("ltrim({long}, replace({half}, '0', 'x') || '0')"),
        format!("rtrim({long}, replace({half}, '0', 'x') || '0')"),
        format!("unhex(replace(hex(zeroblob(100000)), '0', 'x'), replace({half}, '0', 'y') || 'x')"),
        format!("{long} like '%{}1%'", "0".repeat(250)),
        format!("{long} glob '*{}1'", "[0-9]".repeat(45)),
        "json_patch(o, o)".to_owned(),
        "jsonb_patch(o, o)".to_owned(),
        "json_pretty('[[[' || replace(hex(zeroblob(1000)), '0', '1,') || '1]]]', hex(zeroblob(50000)))".to_owned(),
    ] {
        let object = "select json_group_object('k' || key, 1) as o from \
                      json_each('[' || replace(hex(zeroblob(25000)), '0', '1,') || '1]')";
        let statement = format!("select {} from ({object})", vec![function.clone(); 20].join(", "));
        let started = Instant::now();
        let said = query(&server, &statement);
        let took = started.elapsed();
        // The machine may be busy; without the bound each call takes seven seconds or more.
        assert!(took < Duration::from_millis(2500), "{took:?}: {function}: {said:.80}");
    }
}

#[test]
fn a_statement_ends_with_its_call() {
    let setup = setup(ACCOUNTS).config("[database]\nstatement_time = '60s'\nbusy_timeout = '60s'");
    let server = setup.start();
    server.until_ready("sql-steps", 1);
    let endless = format!("insert into transfers select i from ({ENDLESS})")
        .replace("select i from", "select * from");
    // The call ends at its deadline, ...
    let call =
        server.call("POST", "/v2/models/sql-steps/infer").header("wardian-deadline-ms", "200");
    let late = call.json(&steps(&[step("execute", &[&endless])])).send();
    late.refused(504, "deadline_exceeded");
    assert_eq!(execute(&server, "insert into transfers values ('after')"), "1");
    // ... or when its client disconnects. In both cases the next writer need not wait a minute.
    let call = server
        .call("POST", "/v2/models/sql-steps/infer")
        .json(&steps(&[step("execute", &[&endless])]));
    let pending = call.begin();
    server.until_busy("sql-steps", 1);
    pending.hang_up();
    let started = Instant::now();
    assert_eq!(execute(&server, "insert into transfers values ('again')"), "1");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn a_running_statement_does_not_delay_the_stop() {
    let setup = setup("")
        .config("[database]\nstatement_time = '60s'")
        .argument("--drain-timeout")
        .argument("1s");
    let server = setup.start();
    server.until_ready("sql-steps", 1);
    let endless = server
        .call("POST", "/v2/models/sql-steps/infer")
        .json(&steps(&[step("query", &[ENDLESS])]))
        .begin();
    server.until_busy("sql-steps", 1);
    let told = Instant::now();
    server.terminate();
    assert_eq!(server.until_ended().code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(8), "{:?}", told.elapsed());
    assert!(endless.try_answer().is_err());
}

#[test]
fn the_time_of_statements_is_the_calls_own() {
    let server = Server::with_models(|models| {
        add(models, "sql-steps", 1, "");
        models.settings(
            "sql-steps",
            "[capabilities]\nsql = true\n[limits]\ndeadline = '60s'\ncpu_time = '500ms'",
        );
    });
    let server = server.config("[database]\nstatement_time = '1s'").start();
    server.until_ready("sql-steps", 1);
    let used = || server.metric("wardian_tenant_cpu_seconds_total{tenant=\"default\"}").unwrap();
    let before = used();
    let spent = server.infer("sql-steps", &steps(&[step("query", &[ENDLESS]), step("spin", &[])]));
    spent.refused(504, "cpu_time_exceeded");
    assert!(used() - before > 0.5, "{} and {before}", used());
}

#[test]
fn results_are_bounded() {
    let server = setup("").config("[database]\nrows = 1000\nresult = '1MiB'").start();
    server.until_ready("sql-steps", 1);
    let rows = |count: u32| {
        format!(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < {count}) select i from n"
        )
    };
    assert_eq!(take(&server, &[step("size", &[&rows(1000)])]), ["1000"]);
    begins(&query(&server, &rows(1001)), "limit: the query finds more than 1000 rows");
    let wide = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 20) \
                select randomblob(100000) from n";
    begins(&query(&server, wide), "limit: the query finds more than 1048576 bytes");
    // One row too many rolls the whole statement back.
    assert_eq!(execute(&server, "create table t (x)"), "0");
    begins(&query(&server, &format!("insert into t {} returning x", rows(2000))), "limit: ");
    assert_eq!(query(&server, "select count(*) from t"), "i:0");
    assert_eq!(execute(&server, &format!("insert into t {}", rows(2000))), "2000");
}

#[test]
fn values_and_statements_are_bounded() {
    let server = serve("");
    for (statement, says) in [
        ("select randomblob(2000000)", "limit: "),
        ("select zeroblob(1000000000)", "limit: "),
        ("select length(printf('%.*c', 100000000, 'x'))", "limit: "),
        (
            "select group_concat(randomblob(100000)) from (select 1 union all select 2) a, (values (1),(2),(3),(4),(5),(6)) b",
            "limit: ",
        ),
        (
            &format!("select '{}'", "x".repeat(70_000)),
            "limit: the statement has more than 65536 bytes",
        ),
        (&format!("select {}1{}", "(".repeat(5000), ")".repeat(5000)), "invalid: "),
        ("select ---1", "invalid: "),
        (&format!("select 1 {}", "union all select 1 ".repeat(500)), "invalid: too many terms"),
        (&format!("select {}", vec!["1"; 501].join(",")), "invalid: too many columns"),
        (&"vacuum;".repeat(9000), "invalid: one statement at a time"),
        (&"vacuum;".repeat(500), "invalid: one statement at a time"),
        (
            &format!("select 'a' like '{}'", "%a".repeat(5000)),
            "invalid: LIKE or GLOB pattern too complex",
        ),
        (&format!("select {}", "abs(".repeat(400) + "1" + &")".repeat(400)), "invalid: "),
        ("select ?1001", "invalid: "),
        ("select ?99999999999", "invalid: "),
    ] {
        let said = query(&server, statement);
        let shown: String = statement.chars().take(60).collect();
        assert!(said.starts_with(says), "{shown}: {said}");
    }
    let big = format!("x:{}", "00".repeat(1_100_000));
    begins(
        &take(&server, &[step("query", &["select $1", &big])])[0],
        "limit: a parameter has more than",
    );
    let many: Vec<_> = ["select 1"].into_iter().chain(std::iter::repeat_n("i:1", 1001)).collect();
    begins(
        &take(&server, &[step("query", &many)])[0],
        "limit: the statement has more than 1000 parameters",
    );
}

#[test]
fn memory_for_sorting_is_limited() {
    let server = setup("").config("[database]\nstatement_time = '60s'").start();
    server.until_ready("sql-steps", 1);
    let before = server.resident();
    for bomb in [
        "with recursive n(i) as (select 1 union all select i + 1 from n) \
         select count(*) from (select zeroblob(500000) || i as b from n order by b)",
        "with recursive n(i, b) as (select 1, randomblob(1000) union select i + 1, randomblob(1000) from n) \
         select count(*) from n",
        "with recursive n(i) as (select 1 union all select i + 1 from n) \
         select json_group_array(i) from (select i, randomblob(1000) from n group by 1, 2)",
    ] {
        begins(&query(&server, bomb), "limit: ");
        assert!(server.resident() < before + (1 << 30), "{} MiB", server.resident() >> 20);
    }
    // A large sort of ordinary rows is permitted.
    let honest = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000) \
                  select count(*) from (select random() as r from n order by r)";
    assert_eq!(query(&server, honest), "i:200000");
}

#[test]
fn a_full_database_quota_is_an_error() {
    let quota =
        |bytes: &str| format!("{EAGER}[tenants.default]\nquota = {{ database = '{bytes}' }}\n");
    let server = setup("").config(&quota("1MiB")).start();
    server.until_ready("sql-steps", 1);
    assert_eq!(execute(&server, "create table t (x)"), "0");
    let fill = "insert into t values (randomblob(100000))";
    let mut fits = 0;
    let full = loop {
        let said = execute(&server, fill);
        if said != "1" {
            break said;
        }
        fits += 1;
        assert!(fits < 11, "more fits than may");
    };
    assert_eq!(full, "limit: the 1048576 bytes of the tenant's quota for database are used up");
    assert!(fits >= 8, "{fits} fit");
    let tenant = server.tenant("default");
    assert!(
        (800_000..=1 << 20).contains(&tenant.holds("database")),
        "{}",
        tenant.holds("database")
    );
    assert_eq!(tenant.get("/v2/usage").ok().json()["quota"]["database"]["limit"], 1 << 20);
    // Deleting rows makes room, and so does a larger quota.
    assert_eq!(execute(&server, "delete from t where rowid <= 2"), "2");
    assert_eq!(execute(&server, fill), "1");
    until("room within a larger quota", || {
        std::fs::write(server.directory().join("wardian.toml"), quota("4MiB")).unwrap();
        execute(&server, &format!("insert into t values {}", ["(randomblob(100000))"; 9].join(",")))
            == "9"
    });
}

#[test]
fn slow_statements_delay_no_other_tenant() {
    let server = serve_two("[database]\nstatement_time = '30s'\nbusy_timeout = '30s'");
    let (slow, quick) = (server.tenant("one"), server.tenant("two"));
    let endless = steps(&[step("query", &[ENDLESS])]);
    let busy: Vec<_> = (0..8)
        .map(|_| slow.call("POST", "/v2/models/sql-steps/infer").json(&endless).begin())
        .collect();
    until("that eight are at work", || {
        slow.get("/v2/models/sql-steps/config").json()["wardian"]["instances"]["busy"] == 8
    });
    let started = Instant::now();
    for number in 0..20 {
        assert_eq!(super::query_as(&quick, &format!("select {number}")), format!("i:{number}"));
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    busy.into_iter().for_each(|pending| pending.hang_up());
}

#[test]
fn endless_statements_and_calls_share_the_cores() {
    let server = serve_two("[database]\nstatement_time = '60s'\nbusy_timeout = '60s'");
    let (asking, spinning) = (server.tenant("one"), server.tenant("two"));
    let begin = |tenant: Tenant<'_>, taken: String| -> Vec<_> {
        let body = steps(&[taken]);
        let begun = (0..8)
            .map(|_| tenant.call("POST", "/v2/models/sql-steps/infer").json(&body).begin())
            .collect();
        until("that eight are at work", || {
            tenant.get("/v2/models/sql-steps/config").json()["wardian"]["instances"]["busy"] == 8
        });
        begun
    };
    let busy = [begin(asking, step("query", &[ENDLESS])), begin(spinning, step("spin", &[]))];
    let used = || {
        ["one", "two"].map(|name| {
            server.metric(&format!("wardian_tenant_cpu_seconds_total{{tenant=\"{name}\"}}"))
        })
    };
    let since = |before: [Option<f64>; 2]| {
        let [asked, spun] = std::array::from_fn(|index| {
            used()[index].unwrap_or(0.0) - before[index].unwrap_or(0.0)
        });
        (asked, spun)
    };
    let begun = used();
    // Making the file may take long on a busy disk.
    until("that both have had turns", || since(begun).0 > 0.05 && since(begun).1 > 0.05);
    let before = used();
    until("that they have used hundreds of turns", || since(before).0 + since(before).1 > 0.5);
    let (asked, spun) = since(before);
    println!("statements took {asked} s, calls {spun} s");
    let part = spun / (asked + spun);
    // Both loads run without end, and neither may take all CPU time. Where other programs use the
    // cores too, a statement's thread must be woken for each turn, so the calls may be somewhat
    // ahead.
    assert!((0.35..0.85).contains(&part), "statements took {asked} s, calls {spun} s");
    busy.into_iter().flatten().for_each(|pending| pending.hang_up());
}

/// Returns the number of statement threads with each scheduling policy: `(ordinary, idle)`.
fn threads_for_statements(server: &Server) -> (usize, usize) {
    let mut policies = Vec::new();
    for task in fs::read_dir(format!("/proc/{}/task", server.process_id())).unwrap().flatten() {
        // A thread that has ended meanwhile has no file.
        let Ok(stat) = fs::read_to_string(task.path().join("stat")) else { continue };
        let (name, fields) = stat.rsplit_once(") ").unwrap();
        if name.ends_with("(sql") {
            // Field 41 of proc_pid_stat(5); the first two are the number and the name.
            policies.push(fields.split(' ').nth(38).unwrap().to_owned());
        }
    }
    let ordinary = policies.iter().filter(|policy| *policy == "0").count();
    (ordinary, policies.len() - ordinary)
}

#[test]
fn only_long_statements_run_at_idle_priority() {
    let server = setup(ACCOUNTS).config("[database]\nstatement_time = '30s'").start();
    server.until_ready("sql-steps", 1);
    assert_eq!(query(&server, "select sum(balance) from accounts"), "i:4000");
    let (ordinary, _) = threads_for_statements(&server);
    assert!(ordinary > 0);
    let endless = server
        .call("POST", "/v2/models/sql-steps/infer")
        .json(&steps(&[step("query", &[ENDLESS])]))
        .begin();
    until("that it has stepped back", || threads_for_statements(&server).1 == 1);
    assert_eq!(query(&server, "select sum(balance) from accounts"), "i:4000");
    drop(endless);
    until("that another thread has taken its place", || threads_for_statements(&server).1 == 0);
    assert_eq!(query(&server, "select sum(balance) from accounts"), "i:4000");
    assert_eq!(threads_for_statements(&server).1, 0);
}
