//! Measures requests of sessions: each reads a state from disk and stores another one before its
//! response.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;

use super::http_client::{self, Client};
use super::models;
use super::options::Options;
use super::process::Server;
use super::report::{Table, format_number, median};
use super::throughput::wait_until_ready;

/// Connections at a time, each with a session of its own.
const CONNECTIONS: [usize; 2] = [1, 16];

/// Bytes of each state.
const STATE: usize = 1000;

/// A server and the kind of its requests.
struct Kind {
    name: &'static str,
    server: Server,
    session: bool,
}

/// The results of one window.
struct Measured {
    rate: f64,
    p50: f64,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let kinds = [
        Kind {
            name: "no session",
            server: server(&folder.path().join("none"), "full")?,
            session: false,
        },
        Kind {
            name: "durability full",
            server: server(&folder.path().join("full"), "full")?,
            session: true,
        },
        Kind {
            name: "durability normal",
            server: server(&folder.path().join("normal"), "normal")?,
            session: true,
        },
    ];
    let mut table = Table::new(&["connections", "kind", "round trips/s", "p50 µs", "÷ no session"]);

    for connections in CONNECTIONS {
        let mut rounds: Vec<Vec<Measured>> = kinds.iter().map(|_| Vec::new()).collect();
        for _ in 0..options.rounds() {
            for (kind, rounds) in kinds.iter().zip(&mut rounds) {
                rounds.push(measure(kind, connections, options.window())?);
            }
        }
        for (kind, measured) in kinds.iter().zip(&rounds) {
            let ratios =
                measured.iter().zip(&rounds[0]).map(|(one, without)| one.rate / without.rate);
            let figures =
                [median(measured.iter().map(|m| m.rate)), median(measured.iter().map(|m| m.p50))];
            let named = [connections.to_string(), kind.name.to_owned()];
            table.row(
                named
                    .into_iter()
                    .chain(figures.map(format_number))
                    .chain([format_number(median(ratios))]),
            );
        }
    }
    table.print(&format!(
        "session-words, a state of {STATE} bytes read and written at each request"
    ));

    Ok(())
}

fn server(folder: &Path, durability: &str) -> Result<Server> {
    let models = folder.join("models/session-words/1");
    std::fs::create_dir_all(&models)?;
    std::fs::write(models.join("model.wasm"), models::test_guest("session-words")?)?;
    std::fs::write(
        folder.join("wardian.toml"),
        format!("[data]\ndurability = \"{durability}\"\n"),
    )?;
    let server = Server::wardian_in(folder)?;
    wait_until_ready(&server)?;
    Ok(server)
}

fn measure(kind: &Kind, connections: usize, window: Duration) -> Result<Measured> {
    let clients: Result<Vec<_>> =
        (0..connections).map(|number| open_session(kind, number)).collect();
    let clients = clients?;
    let started = Instant::now();
    let end = started + window;
    let threads: Vec<_> = clients
        .into_iter()
        .map(|(client, request)| thread::spawn(move || send_until(client, &request, end)))
        .collect();
    let mut latencies = Vec::new();

    for thread in threads {
        latencies.extend(thread.join().map_err(|_| anyhow!("a client panicked"))??);
    }
    ensure!(!latencies.is_empty(), "nothing was answered");
    let rate = latencies.len() as f64 / started.elapsed().as_secs_f64();

    Ok(Measured { rate, p50: median(latencies) })
}

/// Opens a connection. Returns it with the request to repeat.
fn open_session(kind: &Kind, number: usize) -> Result<(Client, Vec<u8>)> {
    let mut client = Client::connect(kind.server.address())?;
    let request = |start| {
        let parameters = if kind.session {
            json!({ "sequence_id": format!("s{number}"), "sequence_start": start, "do": format!("fill {STATE}") })
        } else {
            json!({ "do": "" })
        };
        let body = json!({ "inputs": [], "parameters": parameters }).to_string();
        http_client::infer(None, "session-words", body.as_bytes())
    };
    client.send(&request(true))?.context("a session does not begin")?;

    Ok((client, request(false)))
}

/// Returns the latencies in microseconds.
fn send_until(mut client: Client, request: &[u8], end: Instant) -> Result<Vec<f64>> {
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let asked = Instant::now();
        client.send(request)?.context("a session is refused")?;
        latencies.push(asked.elapsed().as_nanos() as f64 / 1000.0);
    }
    Ok(latencies)
}
