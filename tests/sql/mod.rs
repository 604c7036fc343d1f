//! The tenant's own database, used by a guest that runs the statements of its requests.

mod backup;
mod bounds;
mod concurrency;
mod crash;
mod escapes;
mod migrations;
mod notes;
mod postgres;
mod statements;
mod transactions;

use serde_json::{Value, json};

use crate::harness::{Models, Response, Server, Setup, Tenant, sql_steps};

/// The grant and the limits of the SQL model in these tests.
const SETTINGS: &str = "[capabilities]\nsql = true\n[limits]\ndeadline = '60s'\ncpu_time = '30s'\n[breaker]\nfaults = 0\n\
                        [instances]\nmax = 64\n";

/// A migration that creates accounts.
const ACCOUNTS: &str = "migrate 001-accounts create table accounts (id integer primary key, balance integer not null); \
                        insert into accounts values (1, 1000), (2, 1000), (3, 1000), (4, 1000); \
                        create table transfers (name text primary key)";

/// The sum of all accounts.
const SUM: &str = "i:4000";

/// Writes a version of the SQL model.
fn add(models: &Models, model: &str, version: u64, script: &str) {
    models.settings(model, SETTINGS);
    models.version(model, version, sql_steps(script));
}

/// A server, not yet started, with one SQL model.
fn setup(script: &str) -> Setup {
    Server::with_models(|models| add(models, "sql-steps", 1, script))
}

/// Starts a server with one SQL model.
fn serve(script: &str) -> Server {
    let server = setup(script).start();
    server.until_ready("sql-steps", 1);
    server
}

/// Starts a server with tenants `one` and `two`, each with an SQL model, and these settings.
fn serve_two(config: &str) -> Server {
    let tenants = ["one", "two"];
    let entries = tenants.map(|name| format!("[tenants.{name}]\nrepository = '{name}'\n")).concat();
    let setup =
        Server::with_models(|_| {}).config(&format!("{config}\n[tenants.default]\n{entries}"));
    tenants.iter().for_each(|name| add(&setup.repository(name), "sql-steps", 1, ""));
    let server = setup.start();
    tenants.iter().for_each(|name| server.tenant(name).until_ready("sql-steps", 1));
    server
}

/// A step for the SQL model: a word and its arguments.
fn step(word: &str, rest: &[&str]) -> String {
    let parts: Vec<_> = [word].iter().chain(rest).copied().collect();
    parts.join("\u{1f}")
}

/// A request with these steps, which run in one call.
fn steps(steps: &[String]) -> Value {
    json!({ "inputs": [{ "name": "steps", "datatype": "BYTES", "shape": [steps.len()], "data": steps }] })
}

#[track_caller]
fn results(response: &Response) -> Vec<String> {
    response.output("results").iter().map(|result| result.as_str().unwrap().to_owned()).collect()
}

/// Runs steps in one call, and returns their results.
#[track_caller]
fn take(server: &Server, taken: &[String]) -> Vec<String> {
    results(&server.infer("sql-steps", &steps(taken)))
}

/// Runs one query, and returns its rows.
#[track_caller]
fn query(server: &Server, statement: &str) -> String {
    take(server, &[step("query", &[statement])]).remove(0)
}

/// Runs one statement, and returns the number of changed rows.
#[track_caller]
fn execute(server: &Server, statement: &str) -> String {
    take(server, &[step("execute", &[statement])]).remove(0)
}

/// Runs one statement as a tenant.
#[track_caller]
fn execute_as(tenant: &Tenant<'_>, statement: &str) -> String {
    results(&tenant.infer("sql-steps", &steps(&[step("execute", &[statement])]))).remove(0)
}

/// Runs one query as a tenant.
#[track_caller]
fn query_as(tenant: &Tenant<'_>, statement: &str) -> String {
    results(&tenant.infer("sql-steps", &steps(&[step("query", &[statement])]))).remove(0)
}

/// Asserts the beginning of a text.
#[track_caller]
fn begins(text: &str, beginning: &str) {
    assert!(text.starts_with(beginning), "'{text}' does not begin with '{beginning}'");
}
