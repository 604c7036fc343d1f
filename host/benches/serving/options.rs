//! The options of the benchmark.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures Wardian beside a native handler.
#[derive(Parser)]
pub(crate) struct Options {
    /// Length of each measurement in seconds
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Number of measurements; medians are reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Measure one part only
    #[arg(long)]
    only: Option<Part>,
    /// Numbers of connections [default: 1, 16 and 64]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: Vec<u16>,
    /// Another build of wardian to measure beside this one
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) against: Option<PathBuf>,
    /// Measure one attack of `abuse` only
    #[arg(long, value_name = "NAME")]
    attack: Option<String>,
    /// Length of `soak` in minutes
    #[arg(long, default_value_t = 30.0, value_name = "MINUTES", value_parser = minutes)]
    minutes: f64,
    /// Fail if `instructions` exceed the recorded ones by more than 3 %
    #[arg(long)]
    pub(crate) check: bool,
    /// A short run, to check that everything works
    #[arg(long)]
    quick: bool,
    /// Run as the native server; the benchmark starts itself with this
    #[arg(long, hide = true)]
    pub(crate) native: bool,
    /// Run as the native server of gRPC
    #[arg(long, hide = true)]
    pub(crate) native_grpc: bool,
    /// Passed by `cargo bench` to every benchmark
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// A part of the benchmark.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Part {
    /// Requests per second, latencies and CPU time per request
    Throughput,
    /// The gain of batching, and its cost for a single request
    Batching,
    /// A fresh instance and a pooled call, without HTTP
    Instance,
    /// User instructions of a request, counted by valgrind
    Instructions,
    /// From a dropped file to the first answer
    Swap,
    /// A hundred models: memory and start
    Density,
    /// Hundreds of models of one component: memory, disk and start
    ManyModels,
    /// Model files beside their libraries and servers in Python
    ModelFiles,
    /// Neural networks beside ONNX Runtime, and the time of a kernel call
    Networks,
    /// One small model by each protocol, and gRPC beside tonic
    Protocols,
    /// Answers in parts: time to the first, and what each costs
    Streaming,
    /// Values by key: operations per second
    Keyvalue,
    /// A tenant beside one that takes all it can
    Neighbours,
    /// The cost of interceptors
    Interceptors,
    /// Statements from a guest and natively
    Sql,
    /// Requests of sessions, whose state is on disk
    Sessions,
    /// A tenant beside another one that attacks the server
    Abuse,
    /// Half an hour of traffic, swaps and attacks; runs only on request
    Soak,
}

impl Options {
    /// The parts to measure, in order.
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

    /// True if one part is measured and no other.
    pub(crate) fn is_only(&self) -> bool {
        self.only.is_some()
    }

    /// True if that attack is measured.
    pub(crate) fn includes(&self, attack: &str) -> bool {
        self.attack.as_deref().is_none_or(|only| only == attack)
    }

    /// The length of the soak.
    pub(crate) fn soak(&self) -> Duration {
        Duration::from_secs_f64(60.0 * self.minutes)
    }

    /// The number of measurements.
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds as usize }
    }

    /// The length of each measurement.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_secs_f64(if self.quick { 0.5 } else { self.seconds })
    }

    /// The numbers of connections.
    pub(crate) fn connections(&self) -> Vec<usize> {
        self.connections_or(&[1, 16, 64])
    }

    /// The numbers of connections, or these by default.
    pub(crate) fn connections_or(&self, usual: &[usize]) -> Vec<usize> {
        if self.connections.is_empty() {
            usual.into()
        } else {
            self.connections.iter().map(|&n| n.into()).collect()
        }
    }

    /// The number of models in one server.
    pub(crate) fn models(&self) -> usize {
        if self.quick { 10 } else { 100 }
    }

    /// The numbers of models of one component in one server.
    pub(crate) fn many_models(&self) -> Vec<usize> {
        if self.quick { vec![10] } else { vec![200, 1000] }
    }

    /// The number of requests whose instructions are counted.
    pub(crate) fn counted_requests(&self) -> usize {
        if self.quick { 300 } else { 2_000 }
    }

    /// The number of calls in a row without HTTP.
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
