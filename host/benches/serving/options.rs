//! What to measure, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures Wardian beside a native handler.
#[derive(Parser)]
pub(crate) struct Options {
    /// How long each server is measured at a time
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// How often everything is measured; medians are reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Measure one part only
    #[arg(long)]
    only: Option<Part>,
    /// How many connections at a time [default: 1, 16 and 64]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: Vec<u16>,
    /// Another build of wardian to measure beside this one, to see what a change gains
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) against: Option<PathBuf>,
    /// Measure one attack of `abuse` only
    #[arg(long, value_name = "NAME")]
    attack: Option<String>,
    /// How long `soak` takes
    #[arg(long, default_value_t = 30.0, value_name = "MINUTES", value_parser = minutes)]
    minutes: f64,
    /// A short run, to see that everything works
    #[arg(long)]
    quick: bool,
    /// Be the native server; the benchmark starts itself again with this
    #[arg(long, hide = true)]
    pub(crate) native: bool,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// A part of the benchmark.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Part {
    /// Requests per second, latencies and CPU time per request
    Throughput,
    /// What grouping requests gains, and what it costs who is alone
    Batching,
    /// A fresh instance and a pooled call, without HTTP
    Instance,
    /// From a dropped file to the first answer
    Swap,
    /// A hundred models: memory and start
    Density,
    /// Answers in parts: time to the first, and what each costs
    Streaming,
    /// Values by key: operations per second
    Keyvalue,
    /// What a tenant gets beside one that takes all it can
    Neighbours,
    /// What interceptors add to a request
    Interceptors,
    /// Statements from a guest and natively
    Sql,
    /// Requests of sessions, whose state is on disk
    Sessions,
    /// A tenant beside another one that attacks the server
    Abuse,
    /// Half an hour of traffic, swaps and attacks; never measured unless it is asked for
    Soak,
}

impl Options {
    /// What to measure, in order.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let all = || {
            Part::value_variants()
                .iter()
                .copied()
                .filter(|part| !matches!(part, Part::Soak))
                .collect()
        };
        self.only.map_or_else(all, |part| vec![part])
    }

    /// Whether that attack is measured.
    pub(crate) fn includes(&self, attack: &str) -> bool {
        self.attack.as_deref().is_none_or(|only| only == attack)
    }

    /// How long the soak takes.
    pub(crate) fn soak(&self) -> Duration {
        Duration::from_secs_f64(60.0 * self.minutes)
    }

    /// How often everything is measured.
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds as usize }
    }

    /// How long each server is measured at a time.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_secs_f64(if self.quick { 0.5 } else { self.seconds })
    }

    /// How many connections at a time.
    pub(crate) fn connections(&self) -> Vec<usize> {
        self.connections_or(&[1, 16, 64])
    }

    /// How many connections at a time, or these if nothing is said.
    pub(crate) fn connections_or(&self, usual: &[usize]) -> Vec<usize> {
        if self.connections.is_empty() {
            usual.into()
        } else {
            self.connections.iter().map(|&n| n.into()).collect()
        }
    }

    /// How many models share a server.
    pub(crate) fn models(&self) -> usize {
        if self.quick { 10 } else { 100 }
    }

    /// How many calls are made in a row without HTTP.
    pub(crate) fn calls(&self) -> u32 {
        if self.quick { 2_000 } else { 20_000 }
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=10_000.0).contains(&minutes) {
        Ok(minutes)
    } else {
        Err("not between 0.1 and 10000".into())
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=3600.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("not between 0.1 and 3600".into())
    }
}
