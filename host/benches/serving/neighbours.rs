//! Measures a tenant beside one that takes all it can, and the shares of CPU time by weight.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::http_client::{self, Client, get};
use super::load::{self, LoadResult, Workload};
use super::models::{self, Case};
use super::options::Options;
use super::process::Server;
use super::report::{Aim, Table, format_number, median};
use super::throughput::wait_until_ready;

/// Requests that the greedy tenant keeps under way.
const GREEDY: usize = 64;

/// Connections of the tenant that is measured.
const CONNECTIONS: usize = 16;

/// Weights of the two tenants that both take all they can.
const WEIGHTS: [(u32, u32); 3] = [(1, 1), (3, 1), (10, 1)];

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    measure_latency(options)?;
    shares(options)
}

/// Measures a tenant with short requests at half of the capacity, alone and beside one that spins.
fn measure_latency(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = two_tenants(folder.path(), 1)?;
    let spinning = Greedy {
        what: format!("{GREEDY} requests that never end"),
        start: &|| Spinning::start(&server, "b", GREEDY),
    };
    measure_beside(options, &server, &spinning)?;

    flood(options, &server, &models::cases()?)
}

/// The work of tenant b, which lasts until what `start` returns is dropped.
pub(crate) struct Greedy<'a, W> {
    /// A description.
    pub(crate) what: String,
    /// Starts it.
    pub(crate) start: &'a dyn Fn() -> Result<W>,
}

/// Measures short requests of tenant a at half of the capacity, alone and beside tenant b.
pub(crate) fn measure_beside<W>(
    options: &Options,
    server: &Server,
    greedy: &Greedy<'_, W>,
) -> Result<()> {
    let cases = models::cases()?;
    let closed = Workload {
        model: "house-price",
        cases: &cases,
        connections: CONNECTIONS,
        tenant: Some("a"),
        rate: None,
    };
    let capacity = load::run(server, &closed, options.window())?.rate;
    let paced = Workload { rate: Some(capacity / 2.0), ..closed };
    let mut alone = Vec::new();
    let mut both = Vec::new();

    for _ in 0..options.rounds() {
        alone.push(load::run(server, &paced, options.window())?);
        let _greedy = (greedy.start)()?;
        both.push(load::run(server, &paced, options.window())?);
    }
    table(&alone, &both).print(&format!(
        "tenant a: {} short requests/s, half of what the cores can do; tenant b: {}",
        format_number(capacity / 2.0),
        greedy.what
    ));
    println!();
    Aim::AtLeast(0.95).print("a's throughput beside b ÷ alone", ratio(&both, &alone, |m| m.rate));
    Aim::AtMost(3.0).print("a's p99 beside b ÷ alone", ratio(&both, &alone, |m| m.p99));
    Ok(())
}

/// Measures the same tenant with a closed loop.
fn flood(options: &Options, server: &Server, cases: &[Case]) -> Result<()> {
    let flood = Workload {
        model: "house-price",
        cases,
        connections: GREEDY,
        tenant: Some("a"),
        rate: None,
    };
    let _spinning = Spinning::start(server, "b", GREEDY)?;
    let before = cpu_seconds(server)?;
    let measured = load::run(server, &flood, options.window())?;
    let after = cpu_seconds(server)?;
    let of_a = after.0 - before.0;
    let of_b = after.1 - before.1;
    println!(
        "\n  With {GREEDY} connections that ask as fast as they can, a gets {} answers/s and {:.0} % of the guests' CPU time.",
        format_number(measured.rate),
        100.0 * of_a / (of_a + of_b)
    );

    Ok(())
}

fn table(alone: &[LoadResult], both: &[LoadResult]) -> Table {
    let mut table =
        Table::new(&["tenant a", "req/s", "p50 µs", "p99 µs", "req/s ÷ alone", "p50 ÷", "p99 ÷"]);
    for (name, rounds) in [("alone", alone), ("beside b", both)] {
        let of = |field: fn(&LoadResult) -> f64| format_number(median(rounds.iter().map(field)));
        let ratio = |field| format_number(ratio(rounds, alone, field));
        let absolute = [of(|m| m.rate), of(|m| m.p50), of(|m| m.p99)];
        let relative = [ratio(|m| m.rate), ratio(|m| m.p50), ratio(|m| m.p99)];
        table.row([name.to_string()].into_iter().chain(absolute).chain(relative));
    }
    table
}

fn ratio(one: &[LoadResult], other: &[LoadResult], field: fn(&LoadResult) -> f64) -> f64 {
    median(one.iter().zip(other).map(|(one, other)| field(one) / field(other)))
}

/// Measures the shares of two tenants that take all they can.
fn shares(options: &Options) -> Result<()> {
    let mut table =
        Table::new(&["weights", "CPU s of a", "CPU s of b", "a's share", "by weight", "÷"]);
    let mut ratios = Vec::new();

    for (heavy, light) in WEIGHTS {
        let folder = tempfile::tempdir()?;
        let server = two_tenants(folder.path(), heavy)?;
        let _a = Spinning::start(&server, "a", GREEDY)?;
        let _b = Spinning::start(&server, "b", GREEDY)?;
        let before = cpu_seconds(&server)?;
        std::thread::sleep(options.window() * 2);
        let after = cpu_seconds(&server)?;
        let of_a = after.0 - before.0;
        let of_b = after.1 - before.1;
        let share = of_a / (of_a + of_b);
        let wanted = f64::from(heavy) / f64::from(heavy + light);
        let cells = [format!("{heavy}:{light}"), format_number(of_a), format_number(of_b)];
        table.row(
            cells
                .into_iter()
                .chain([share, wanted, share / wanted].map(|value| format!("{value:.3}"))),
        );
        ratios.push(((heavy, light), share / wanted));
    }
    table.print("both tenants keep as many requests going that never end");
    println!();

    for ((heavy, light), ratio) in ratios {
        Aim::AtMost(0.05).print(&format!("off its share at {heavy}:{light}"), (ratio - 1.0).abs());
    }
    Ok(())
}

/// Starts a server with the tenant a, of that weight, and the tenant b, of weight 1.
fn two_tenants(folder: &Path, weight: u32) -> Result<Server> {
    // Only the client ends a request here.
    let endless =
        format!("instances.max = {GREEDY}\nlimits = {{ deadline = \"1h\", cpu_time = \"1h\" }}\n");
    let scripted = models::test_guest("scripted")?;

    for tenant in ["a", "b"] {
        let version = folder.join("models").join(tenant).join("scripted/1");
        fs::create_dir_all(&version)?;
        fs::write(version.join("model.wasm"), &scripted)?;
        fs::write(version.with_file_name("model.toml"), &endless)?;
    }
    models::install(&folder.join("models/a"), "house-price", &models::component()?, "")?;
    fs::write(
        folder.join("wardian.toml"),
        format!("[tenants.a]\nweight = {weight}\n[tenants.b]\nweight = 1\n"),
    )?;
    let server = Server::wardian_in(folder)?;
    wait_until_ready(&server)?;

    Ok(server)
}

/// Requests that run until this is dropped.
struct Spinning {
    _connections: Vec<TcpStream>,
}

impl Spinning {
    fn start(server: &Server, tenant: &str, requests: usize) -> Result<Self> {
        let request = http_client::infer(
            Some(tenant),
            "scripted",
            br#"{"inputs":[],"parameters":{"behave":"spin"}}"#,
        );
        let start = || {
            let mut stream = TcpStream::connect(server.address())?;
            stream.write_all(&request).map(|()| stream)
        };
        let connections = (0..requests).map(|_| start()).collect::<std::io::Result<_>>()?;
        // Leaves time for all of them to begin.
        std::thread::sleep(Duration::from_millis(200));

        Ok(Spinning { _connections: connections })
    }
}

/// The CPU time of the guests of tenants a and b.
fn cpu_seconds(server: &Server) -> Result<(f64, f64)> {
    let body = Client::connect(server.address())?
        .send(&get("/v2/tenants"))?
        .context("a server refuses")?;
    let answer: Value = serde_json::from_slice(&body)?;
    let of = |index: usize| answer["tenants"][index]["cpu_seconds"].as_f64().context("no CPU time");
    Ok((of(0)?, of(1)?))
}
