//! Measures statements of a guest beside the same ones in process, on a file with the same
//! settings.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::http_client::{self, Client};
use super::models;
use super::options::Options;
use super::process::Server;
use super::report::{Table, format_number, median};
use super::throughput::wait_until_ready;

/// The name, the guest's command, the repetitions in one call, and the statement.
const KINDS: [(&str, &str, u32, &str); 3] = [
    ("read by key", "query", 2000, "select text from entries where id = $1 % 1000 + 1"),
    (
        "insert, each by itself",
        "execute",
        200,
        "insert into entries (text) values ('entry ' || $1)",
    ),
    (
        "insert, 100 in a transaction",
        "in execute",
        100,
        "insert into entries (text) values ('entry ' || $1)",
    ),
];

const TABLE: &str = "create table entries (id integer primary key, text text not null)";

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    for synchronous in ["full", "normal"] {
        compare(options, synchronous)?;
    }
    Ok(())
}

fn compare(options: &Options, synchronous: &str) -> Result<()> {
    // Both write to the same disk.
    let folder = tempfile::tempdir()?;
    let server = serve(folder.path(), synchronous)?;
    let native = native(&folder.path().join("native.sqlite"), synchronous)?;
    let mut table = Table::new(&["statement", "guest /s", "native /s", "guest ÷ native"]);

    for (name, word, times, statement) in KINDS {
        let mut of_guest = Vec::new();
        let mut of_native = Vec::new();
        for _ in 0..options.rounds() {
            let before = Instant::now();
            send_step(&server, &["repeat", word, &times.to_string(), "0", statement])?;
            of_guest.push(f64::from(times) / before.elapsed().as_secs_f64());
            let before = Instant::now();
            repeat(&native, word, times, statement)?;
            of_native.push(f64::from(times) / before.elapsed().as_secs_f64());
        }
        let guest = median(of_guest);
        let native = median(of_native);
        table.row([
            name.into(),
            format_number(guest),
            format_number(native),
            format_number(guest / native),
        ]);
    }
    table.print(&format!("SQL, one call at a time, synchronous = \"{synchronous}\""));

    Ok(())
}

fn serve(folder: &Path, synchronous: &str) -> Result<Server> {
    let settings = "[capabilities]\nsql = true\n[limits]\ndeadline = '60s'\ncpu_time = '60s'\n";
    let version = folder.join("models/sql-steps/1");
    fs::create_dir_all(&version)?;
    fs::write(folder.join("models/sql-steps/model.toml"), settings)?;
    fs::write(version.join("model.wasm"), models::test_guest("sql-steps")?)?;
    fs::write(
        folder.join("wardian.toml"),
        format!("models = 'models'\n[database]\nsynchronous = '{synchronous}'\n"),
    )?;
    let server = Server::wardian_in(folder)?;
    wait_until_ready(&server)?;
    send_step(&server, &["execute", TABLE])?;
    send_step(&server, &["repeat", "in execute", "1000", "0", KINDS[2].3])?;

    Ok(server)
}

fn send_step(server: &Server, step: &[&str]) -> Result<()> {
    let steps = json!([step.join("\u{1f}")]);
    let body = json!({ "inputs": [{ "name": "steps", "datatype": "BYTES", "shape": [1], "data": steps }] });
    let request = http_client::infer(None, "sql-steps", &serde_json::to_vec(&body)?);
    let answer = Client::connect(server.address())?.send(&request)?.context("a call failed")?;
    let answer: Value = serde_json::from_slice(&answer)?;
    let result = answer["outputs"][0]["data"][0].as_str().unwrap_or_default();
    ensure!(["ok", "0"].contains(&result), "the guest says: {result}");
    Ok(())
}

fn native(path: &Path, synchronous: &str) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch(&format!(
        "pragma journal_mode = wal; pragma synchronous = {synchronous}; {TABLE}"
    ))?;
    repeat(&connection, "in execute", 1000, KINDS[2].3)?;
    Ok(connection)
}

fn repeat(connection: &Connection, word: &str, times: u32, text: &str) -> Result<()> {
    let together = word == "in execute";
    if together {
        connection.execute_batch("begin immediate")?;
    }

    for time in 0..times {
        let mut statement = connection.prepare_cached(text)?;
        let mut rows = statement.query([time])?;
        while let Some(row) = rows.next()? {
            std::hint::black_box(row.get_ref(0)?);
        }
    }
    if together {
        connection.execute_batch("commit")?;
    }

    Ok(())
}
