//! The same interface over PostgreSQL: a real server, started by the test in a directory of its
//! own.

mod server;

use super::concurrency::transfer;
use super::{
    ACCOUNTS, add, begins, execute, execute_as, query, query_as, results, step, steps, take,
};
use crate::harness::{Server, Setup};
use server::Postgres;

/// A second migration, which adds a column to the transfers.
const NOTE: &str =
    "migrate 002-note alter table transfers add column note text not null default 'none'";

/// A server, not yet started, whose tenant `default` has a database of its own there.
fn setup(postgres: &Postgres, script: &str, config: &str) -> Setup {
    postgres.add("acme", "pass word");
    let setup = Server::with_models(|models| add(models, "sql-steps", 1, script));
    let config = format!("{config}\n[tenants.default]\n{}", postgres.entry("acme"));
    setup.config(&config)
}

fn serve(postgres: &Postgres, script: &str, config: &str) -> Server {
    let server = setup(postgres, script, config).start();
    server.until_ready("sql-steps", 1);
    server
}

#[test]
fn values_and_errors_are_converted() {
    let Some(postgres) = Postgres::start() else { return };
    let server = serve(&postgres, ACCOUNTS, "");
    for (kind, given, found) in [
        ("text", "null", "null"),
        ("bigint", "i:-9223372036854775808", "i:-9223372036854775808"),
        ("smallint", "i:7", "i:7"),
        ("double precision", "r:1e308", "r:1e308"),
        ("double precision", "r:NaN", "r:NaN"),
        ("double precision", "r:inf", "r:inf"),
        ("double precision", "i:3", "r:3.0"),
        ("boolean", "b:true", "b:true"),
        ("text", "t:grüße 🌱", "t:grüße 🌱"),
        ("jsonb", "t:{\"a\": 1}", "t:{\"a\": 1}"),
        ("bytea", "x:00ff10", "x:00ff10"),
        ("bytea", "x:", "x:"),
    ] {
        let statement = format!("select $1::{kind}");
        assert_eq!(
            take(&server, &[step("query", &[&statement, given])]),
            [found],
            "{kind} {given}"
        );
    }
    for (statement, says) in [
        ("select * from nowhere", "invalid: relation \"nowhere\" does not exist"),
        ("select 1; select 2", "invalid: "),
        ("select $1", "invalid: the statement has 1 parameters, and 0 are given"),
        ("select now()", "invalid: column 'now' is of type timestamptz"),
        ("insert into accounts values (1, 1)", "constraint: duplicate key"),
        ("select pg_read_file('/etc/passwd')", "denied: "),
        ("select rolname from pg_authid", "denied: permission denied"),
        ("select * from wardian_migrations", "denied: "),
        ("commit", "denied: "),
        ("set role postgres", "denied: "),
        ("copy accounts to '/tmp/x'", "denied: "),
        ("create temp table t (x int)", "denied: "),
        ("insert into accounts values (9, 'x')", "invalid: "),
    ] {
        begins(&query(&server, statement), says);
    }
    assert_eq!(execute(&server, "update accounts set balance = balance where id < 3"), "2");
    assert_eq!(
        query(&server, "update accounts set balance = 5 where id = 1 returning id, balance"),
        "i:1,i:5"
    );
    assert!(!server.log().contains("pass word"));
}

#[test]
fn statements_and_transactions_are_bounded() {
    let Some(postgres) = Postgres::start() else { return };
    let limits = "[database]\nstatement_time = '500ms'\ntransaction_time = '1s'\nbusy_timeout = '2s'\nrows = 100";
    let server = serve(&postgres, ACCOUNTS, limits);
    assert_eq!(
        query(&server, "select count(*) from generate_series(1, 1000000000)"),
        "limit: the statement took too long"
    );
    begins(
        &query(&server, "select i::int from generate_series(1, 2000) i"),
        "limit: the query finds more than 100 rows",
    );
    let adding =
        "insert into transfers select i::text from generate_series(1, 200) i returning name";
    begins(&query(&server, adding), "limit: the query finds more than 100 rows");
    assert_eq!(query(&server, "select count(*) from transfers"), "i:0");
    let add = step("in execute", &["insert into transfers values ('x')"]);
    let count = "select count(*) from transfers";
    for (last, kept) in [("rollback", "i:0"), ("drop", "i:0"), ("commit", "i:1")] {
        let taken = [
            step("begin", &[]),
            add.clone(),
            step("in query", &[count]),
            step("query", &[count]),
            step(last, &[]),
        ];
        let told = take(&server, &taken);
        assert_eq!(
            (told[2].as_str(), told[3].as_str(), told[4].as_str()),
            ("i:1", "i:0", "ok"),
            "{last}"
        );
        assert_eq!(query(&server, count), kept, "{last}");
    }
    // An error rolls back its own statement and nothing else.
    let other = step("in execute", &["insert into transfers values ('y')"]);
    let told = take(
        &server,
        &[
            step("begin", &[]),
            other,
            add.clone(),
            step("in execute", &["selec"]),
            step("commit", &[]),
        ],
    );
    begins(&told[2], "constraint: ");
    assert_eq!((told[1].as_str(), told[4].as_str()), ("1", "ok"));
    assert_eq!(query(&server, count), "i:2");
    // The end of the call ends the transaction, and so does its time limit.
    let opened = [step("begin", &[]), step("in execute", &["delete from transfers"])];
    server
        .infer("sql-steps", &steps(&[&opened[..], &[step("trap", &[])]].concat()))
        .refused(500, "model_trapped");
    let slept =
        [&opened[..], &[step("sleep", &["1500"]), step("in query", &[count]), step("commit", &[])]]
            .concat();
    let told = take(&server, &slept);
    assert_eq!(told[3], "limit: the transaction was open for too long, and was rolled back");
    assert_ne!(told[4], "ok");
    assert_eq!(query(&server, count), "i:2");
}

#[test]
fn only_migrations_of_published_versions_are_kept() {
    let Some(postgres) = Postgres::start() else { return };
    let warm = "warm insert into transfers values ('warm')";
    let server = serve(&postgres, &format!("{ACCOUNTS}\n{warm}"), "");
    assert_eq!(query(&server, "select count(*) from transfers"), "i:0");
    let wrong = format!("{ACCOUNTS}\n{NOTE}\nmigrate 003-wrong create table accounts (x int)");
    add(server.models(), "sql-steps", 2, &wrong);
    server.until_refused(
        "sql-steps",
        2,
        "migrate: migration '003-wrong': relation \"accounts\" already exists",
    );
    begins(&query(&server, "select note from transfers"), "invalid: ");
    add(
        server.models(),
        "sql-steps",
        3,
        &format!("{ACCOUNTS}\n{NOTE}\nwarm insert into nowhere values (1)"),
    );
    server.until_refused("sql-steps", 3, "warm-up: ");
    begins(&query(&server, "select note from transfers"), "invalid: ");
    add(server.models(), "sql-steps", 4, &format!("{ACCOUNTS}\n{NOTE}\n{warm}"));
    server.until_ready("sql-steps", 4);
    assert_eq!(query(&server, "select count(note) from transfers"), "i:0");
    add(server.models(), "sql-steps", 5, &ACCOUNTS.replace("1000", "2000"));
    server.until_refused(
        "sql-steps",
        5,
        "migrate: migration '001-accounts' has run with other statements",
    );
    add(
        server.models(),
        "sql-steps",
        6,
        &format!("{ACCOUNTS}\nmigrate 009 create table x (i int); commit"),
    );
    server.until_refused(
        "sql-steps",
        6,
        "migrate: migration '009': a statement that begins with 'commit'",
    );
}

#[test]
fn tenants_are_separate_and_connections_recover() {
    let Some(postgres) = Postgres::start() else { return };
    let names = ["one", "two"];
    let entries = names.map(|name| {
        postgres.add(name, name);
        format!(
            "[tenants.{name}]\nrepository = '{name}'\n{}",
            postgres.entry(name).replace("tenants.default", &format!("tenants.{name}"))
        )
    });
    let setup =
        Server::with_models(|_| {}).config(&format!("[tenants.default]\n{}", entries.concat()));
    names.iter().for_each(|name| add(&setup.repository(name), "sql-steps", 1, ""));
    let server = setup.start();
    let [one, two] = names.map(|name| server.tenant(name));
    [one, two].iter().for_each(|tenant| tenant.until_ready("sql-steps", 1));
    assert_eq!(execute_as(&one, "create table secrets (x text)"), "0");
    begins(&query_as(&two, "select * from secrets"), "invalid: ");
    begins(
        &query_as(&two, "select * from one.public.secrets"),
        "invalid: cross-database references",
    );
    // Statements fail while the server restarts, and succeed afterwards.
    postgres.restart();
    crate::harness::until("that it is connected again", || {
        query_as(&one, "select count(*) from secrets") == "i:0"
    });
}

#[test]
fn concurrent_updates_in_postgres_lose_nothing() {
    let Some(postgres) = Postgres::start() else { return };
    let server = serve(&postgres, ACCOUNTS, "");
    // Separate reads and writes would need a lock on the rows; one statement keeps the sum.
    let statement = "update accounts set balance = balance + case id when 1 then -1 else 1 end where id in (1, 2)";
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(
                        results(
                            &server.infer("sql-steps", &steps(&[step("execute", &[statement])]))
                        ),
                        ["2"]
                    );
                }
            });
        }
    });
    assert_eq!(query(&server, "select balance from accounts where id = 2"), "i:1080");
    assert_eq!(query(&server, "select sum(balance)::bigint from accounts"), super::SUM);
    assert!(!transfer(&server, 2, 5, 0).is_empty());
}

#[test]
fn a_superuser_is_refused() {
    let Some(postgres) = Postgres::start() else { return };
    let server = Server::with_models(|models| add(models, "sql-steps", 1, ""));
    let server =
        server.config(&format!("[tenants.default]\n{}", postgres.entry_of_superuser())).start();
    server.until_ready("sql-steps", 1);
    assert_eq!(
        query(&server, "select 1"),
        "unavailable: it cannot be reached; the host's log has the details"
    );
    server.until_logged("the role is a superuser, who may read the server's files");
}

#[test]
fn a_password_is_read_from_the_environment() {
    let Some(postgres) = Postgres::start() else { return };
    postgres.add("acme", "pass word");
    let entry = postgres.entry_with("acme", "password_env = 'ACME_PASSWORD'");
    let setup = Server::with_models(|models| add(models, "sql-steps", 1, ""))
        .config(&format!("[tenants.default]\n{entry}"));
    let server = setup.start();
    server.until_ready("sql-steps", 1);
    assert_eq!(
        query(&server, "select 1"),
        "unavailable: it cannot be reached; the host's log has the details"
    );
    server.until_logged("ACME_PASSWORD: environment variable not found");
    let server = server.kill().environment("ACME_PASSWORD", "pass word").start();
    server.until_ready("sql-steps", 1);
    assert_eq!(query(&server, "select current_user::text"), "t:acme");
    assert!(!server.log().contains("pass word"));
}

#[test]
fn remote_connections_use_verified_tls() {
    let Some(postgres) = Postgres::start() else { return };
    postgres.add("acme", "pass word");
    let mut authority = String::new();
    let address = postgres.listen_with_tls(|address| {
        let (certificate, key, root) = crate::egress::tls::certificate_of(address);
        authority = root;
        (certificate, key)
    });
    // The address may be on another machine, and does not mention TLS.
    let entry = postgres.entry("acme");
    let (start, end) = (entry.find("host=").unwrap(), entry.find(" user=").unwrap());
    let entry = format!("{}host={address}{}", &entry[..start], &entry[end..]);
    let settings = format!("[tenants.default]\n{entry}");
    let server =
        Server::with_models(|models| add(models, "sql-steps", 1, "")).config(&settings).start();
    server.until_ready("sql-steps", 1);
    assert_eq!(
        query(&server, "select 1"),
        "unavailable: it cannot be reached; the host's log has the details"
    );
    server.until_logged("invalid peer certificate: UnknownIssuer");
    let setup = server.stop();
    setup.models().put("../authority.pem", authority);
    let server =
        setup.config(&format!("[egress]\nca_certificates = 'authority.pem'\n{settings}")).start();
    server.until_ready("sql-steps", 1);
    let encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    assert_eq!(query(&server, encrypted), "b:true");
}
