//! Measures key-value operations of a guest beside the same statements on a file of the same kind.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::http_client::{self, Client};
use super::models;
use super::options::Options;
use super::process::Server;
use super::report::{Table, format_number, median};
use super::throughput::wait_until_ready;

/// Operations of one request, so that HTTP is a small part of the result.
const OPERATIONS_PER_REQUEST: usize = 100;

/// Short values, as in counters and small states. They alternate, since SQLite writes nothing if
/// nothing changes.
const VALUES: [&str; 2] = ["a value of thirty-two characters", "another one as long as the first"];

const CONNECTIONS: [usize; 2] = [1, 16];

#[derive(Clone, Copy)]
enum Operation {
    Get,
    Set,
    Increment,
}

const OPERATIONS: [Operation; 3] = [Operation::Get, Operation::Set, Operation::Increment];

/// The table and the statements that the host uses.
const SCHEMA: &str =
    "CREATE TABLE key_values (bucket TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (bucket, key)) WITHOUT ROWID;";
const GET: &str = "SELECT value FROM key_values WHERE bucket = 'bench' AND key = ?";
const SET: &str = "INSERT INTO key_values (bucket, key, value) VALUES ('bench', ?, ?)
    ON CONFLICT (bucket, key) DO UPDATE SET value = excluded.value";

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = wardian(folder.path())?;
    let native = folder.path().join("native.sqlite");
    open(&native)?.execute_batch(SCHEMA)?;
    let mut table =
        Table::new(&["operation", "at once", "guest op/s", "native op/s", "guest ÷ native"]);

    for operation in OPERATIONS {
        for connections in CONNECTIONS {
            let mut guest = Vec::new();
            let mut beside = Vec::new();
            for _ in 0..options.rounds() {
                guest.push(guest_rate(&server, operation, connections, options.window())?);
                beside.push(native_rate(&native, operation, connections, options.window())?);
            }
            let ratio = median(guest.iter().zip(&beside).map(|(guest, native)| guest / native));
            let figures =
                [format_number(median(guest)), format_number(median(beside)), format_number(ratio)];
            table.row(
                [operation.name().to_owned(), connections.to_string()].into_iter().chain(figures),
            );
        }
    }
    table.print("key-value, values of 32 bytes, every write on disk before it is acknowledged");
    println!(
        "\n  Natively each of those at once has a connection of its own, and each write a transaction."
    );

    Ok(())
}

fn wardian(folder: &Path) -> Result<Server> {
    let version = folder.join("models/key-value-operations/1");
    std::fs::create_dir_all(&version)?;
    let settings =
        "[instances]\nmax = 16\n[limits]\ndeadline = \"60s\"\n[capabilities]\nkey_value = true\n";
    std::fs::write(folder.join("models/key-value-operations/model.toml"), settings)?;
    std::fs::write(version.join("model.wasm"), models::test_guest("key-value-operations")?)?;
    let server = Server::wardian(&folder.join("models"), &folder.join("state"))?;
    wait_until_ready(&server)?;
    Ok(server)
}

/// Operations per second of guests, with `connections` requests at once.
fn guest_rate(
    server: &Server,
    operation: Operation,
    connections: usize,
    window: Duration,
) -> Result<f64> {
    run_workers(connections, window, |number| {
        let data: Vec<_> = VALUES
            .iter()
            .cycle()
            .take(OPERATIONS_PER_REQUEST)
            .map(|value| operation.words(number, value))
            .collect();
        let input = json!({ "name": "do", "datatype": "BYTES", "shape": [OPERATIONS_PER_REQUEST], "data": data });
        let request = http_client::infer(
            None,
            "key-value-operations",
            json!({ "inputs": [input] }).to_string().as_bytes(),
        );
        let mut client = Client::connect(server.address())?;
        Ok(move || {
            let answer = client.send(&request)?.context("a server refuses")?;
            let refused = answer.windows(6).any(|bytes| bytes == b"other:");
            ensure!(!refused, "the store refuses: {}", String::from_utf8_lossy(&answer));
            Ok(OPERATIONS_PER_REQUEST as u64)
        })
    })
}

/// The same with as many threads, each with the file open.
fn native_rate(
    file: &Path,
    operation: Operation,
    connections: usize,
    window: Duration,
) -> Result<f64> {
    run_workers(connections, window, |number| {
        let connection = open(file)?;
        let key = format!("{}-{number}", operation.name());
        let mut values = VALUES.iter().cycle();
        Ok(move || {
            match operation {
                Operation::Get => drop(get(&connection, &key)?),
                Operation::Set => {
                    set(&connection, &key, values.next().context("no value")?.as_bytes())?
                }
                Operation::Increment => {
                    connection.execute_batch("BEGIN IMMEDIATE")?;
                    let value = get(&connection, &key)?.unwrap_or_else(|| b"0".to_vec());
                    let sum = std::str::from_utf8(&value)?.parse::<i64>()? + 1;
                    set(&connection, &key, sum.to_string().as_bytes())?;
                    connection.execute_batch("COMMIT")?;
                }
            }
            Ok(1)
        })
    })
}

fn get(connection: &Connection, key: &str) -> Result<Option<Vec<u8>>> {
    let mut get = connection.prepare_cached(GET)?;
    Ok(get.query_row([key], |row| row.get(0)).optional()?)
}

fn set(connection: &Connection, key: &str, value: &[u8]) -> Result<()> {
    connection.prepare_cached(SET)?.execute(params![key, value])?;
    Ok(())
}

/// Runs `workers` workers for a while. Returns their operations per second.
fn run_workers<W>(
    workers: usize,
    window: Duration,
    make: impl Fn(usize) -> Result<W>,
) -> Result<f64>
where
    W: FnMut() -> Result<u64> + Send,
{
    let done = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let workers: Vec<W> = (0..workers).map(make).collect::<Result<_>>()?;
    let work = |mut worker: W| {
        while !over.load(Ordering::Relaxed) {
            done.fetch_add(worker()?, Ordering::Relaxed);
        }
        Ok(())
    };
    let work = &work;

    std::thread::scope(|scope| {
        let working: Vec<_> =
            workers.into_iter().map(|worker| scope.spawn(move || work(worker))).collect();
        std::thread::sleep(window / 4);
        let before = done.load(Ordering::Relaxed);
        std::thread::sleep(window);
        let counted = done.load(Ordering::Relaxed) - before;
        over.store(true, Ordering::Relaxed);
        let mut outcomes = working.into_iter().map(|worker| worker.join());
        outcomes.try_for_each(|outcome| {
            outcome.unwrap_or_else(|_| Err(anyhow!("a worker panicked")))
        })?;
        Ok(counted as f64 / window.as_secs_f64())
    })
}

fn open(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Get => "get",
            Operation::Set => "set",
            Operation::Increment => "increment",
        }
    }

    /// The input for the guest, with a key of the client's own.
    fn words(self, number: usize, value: &str) -> String {
        let argument = match self {
            Operation::Get => String::new(),
            Operation::Set => format!("\t{value}"),
            Operation::Increment => "\t1".to_owned(),
        };
        format!("{0}\tbench\t{0}-{number}{argument}", self.name())
    }
}
