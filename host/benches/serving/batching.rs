//! Measures batching: its gain under load, and its cost for a request that is alone. Each model is
//! compared with itself at `max_batch_size = 1`.

use std::path::Path;

use anyhow::Result;

use super::load::{self, LoadResult, Workload};
use super::models::{self, Case};
use super::options::Options;
use super::process::Server;
use super::report::{Aim, Table, format_number, median};
use super::throughput::wait_until_ready;

/// Models whose batches are cheaper by the item: one because its network's weights are read once,
/// one because its memory is touched once.
const MODELS: [&str; 2] = ["language-id", "digits-wide"];

const ISOLATIONS: [(&str, &str); 2] = [("fresh", "request"), ("pooled", "pooled")];

/// The connections of the aims, used unless others are given.
const CONNECTIONS: [usize; 2] = [1, 64];

/// A model with and without batches, and its results in each round.
struct Pair {
    model: &'static str,
    isolation: &'static str,
    connections: usize,
    alone: Vec<LoadResult>,
    batched: Vec<LoadResult>,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let repository = folder.path().join("models");
    let state = folder.path().join("state");
    install(&repository)?;
    let server = Server::wardian(&repository, &state)?;
    wait_until_ready(&server)?;
    let mut pairs = pairs(options);
    measure(options, &server, &mut pairs)?;
    table(&pairs).print("One row a request, in batches and alone");
    println!("\n  Ratios are medians over rounds of what was measured one after the other.\n");
    pairs.iter().filter(|pair| pair.isolation == ISOLATIONS[0].0).for_each(Pair::aims);
    Ok(())
}

fn install(repository: &Path) -> Result<()> {
    for model in MODELS {
        for (isolation, setting) in ISOLATIONS {
            let settings = format!("isolation = '{setting}'\n");
            models::install_example(repository, model, &name(model, isolation, true), &settings)?;
            let settings = format!("{settings}[batching]\nmax_batch_size = 1\n");
            models::install_example(repository, model, &name(model, isolation, false), &settings)?;
        }
    }
    Ok(())
}

fn name(model: &str, isolation: &str, batched: bool) -> String {
    format!("{model}-{isolation}-{}", if batched { "batched" } else { "alone" })
}

fn pairs(options: &Options) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for model in MODELS {
        for (isolation, _) in ISOLATIONS {
            for connections in options.connections_or(&CONNECTIONS) {
                pairs.push(Pair {
                    model,
                    isolation,
                    connections,
                    alone: Vec::new(),
                    batched: Vec::new(),
                });
            }
        }
    }

    pairs
}

/// Measures in turns, so that a disturbance affects both.
fn measure(options: &Options, server: &Server, pairs: &mut [Pair]) -> Result<()> {
    for _ in 0..options.rounds() {
        for pair in &mut *pairs {
            let cases = models::rows_of(pair.model)?;
            pair.alone.push(pair.measure(options, server, &cases, false)?);
            pair.batched.push(pair.measure(options, server, &cases, true)?);
        }
    }
    Ok(())
}

impl Pair {
    fn measure(
        &self,
        options: &Options,
        server: &Server,
        cases: &[Case],
        batched: bool,
    ) -> Result<LoadResult> {
        let model = &name(self.model, self.isolation, batched);
        let load =
            Workload { model, cases, connections: self.connections, tenant: None, rate: None };
        load::run(server, &load, options.window())
    }

    /// The ratio of batched to alone for a figure.
    fn ratio(&self, field: fn(&LoadResult) -> f64) -> f64 {
        median(
            self.batched
                .iter()
                .zip(&self.alone)
                .map(|(batched, alone)| field(batched) / field(alone)),
        )
    }

    fn aims(&self) {
        let what =
            |figure: &str| format!("{} {figure} at {} connections", self.model, self.connections);
        match self.connections {
            1 => Aim::AtMost(1.05).print(&what("batched/alone p50"), self.ratio(|m| m.p50)),
            64 => {
                Aim::AtLeast(3.0).print(&what("batched/alone throughput"), self.ratio(|m| m.rate))
            }
            _ => {}
        }
    }
}

fn table(pairs: &[Pair]) -> Table {
    let columns =
        ["model", "instances", "connections", "", "req/s", "p50 µs", "p99 µs", "CPU µs/req"];
    let mut table = Table::new(&[&columns[..], &["req/s ÷ alone", "p50 ÷", "CPU ÷"]].concat());

    for pair in pairs {
        for (kind, rounds) in [("alone", &pair.alone), ("batched", &pair.batched)] {
            let of =
                |field: fn(&LoadResult) -> f64| format_number(median(rounds.iter().map(field)));
            let ratio =
                |field| if kind == "alone" { "1".into() } else { format_number(pair.ratio(field)) };
            let named = [
                pair.model.into(),
                pair.isolation.into(),
                pair.connections.to_string(),
                kind.into(),
            ];
            let absolute = [of(|m| m.rate), of(|m| m.p50), of(|m| m.p99), of(|m| m.cpu)];
            let relative = [ratio(|m| m.rate), ratio(|m| m.p50), ratio(|m| m.cpu)];
            table.row(named.into_iter().chain(absolute).chain(relative));
        }
    }
    table
}
