//! Measures the victim: latencies of short and of long calls, the time of a swap, and the number of
//! failed requests.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use super::super::http_client::{self, Client};
use super::super::models;
use super::super::report::median;
use super::server::{AttackedServer, VICTIM};

/// Connections that send short requests.
const CONNECTIONS: u32 = 4;

/// The time between two short requests of a connection.
const INTERVAL: Duration = Duration::from_millis(20);

/// Swaps that are made in each measurement.
const SWAPS: usize = 3;

/// The longest wait for a swap.
const SWAP_TIMEOUT: Duration = Duration::from_secs(60);

/// The results of one measurement.
pub(super) struct VictimResult {
    /// Short requests.
    pub(super) short: Latencies,
    /// Calls that compute for 20 ms.
    pub(super) long: Latencies,
    /// The median time from a renamed folder to the first response of the new version, in
    /// milliseconds. Infinite if a swap has timed out.
    pub(super) swap: f64,
}

impl VictimResult {
    /// The number of requests without a response of status 200.
    pub(super) fn failed(&self) -> usize {
        self.short.failed + self.long.failed
    }
}

/// The latencies of one kind of request, in milliseconds.
pub(super) struct Latencies {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) failed: usize,
}

/// Measures the victim for a window, and until its swaps are done.
pub(super) fn measure(scene: &AttackedServer, window: Duration) -> Result<VictimResult> {
    let short = short_request()?;
    let long = long_request();
    let address = scene.server.address();
    let stop = &AtomicBool::new(false);
    let short = &short;
    let long = &long;
    thread::scope(|scope| {
        let asking = |request, pace| scope.spawn(move || send_until(address, request, pace, stop));
        let shorts: Vec<_> = (0..CONNECTIONS).map(|_| asking(short, INTERVAL)).collect();
        let long = asking(long, Duration::ZERO);

        let started = Instant::now();
        let swap = swap(scene);
        thread::sleep(window.saturating_sub(started.elapsed()));
        stop.store(true, Ordering::Relaxed);

        let short = shorts
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .fold(Samples::default(), Samples::with);
        let long = long.join().unwrap_or_default();
        Ok(VictimResult { short: short.latencies(), long: long.latencies(), swap: swap? })
    })
}

/// The latencies of a connection.
#[derive(Default)]
pub(super) struct Samples {
    milliseconds: Vec<f64>,
    failed: usize,
}

impl Samples {
    fn with(mut self, other: Samples) -> Samples {
        self.milliseconds.extend(other.milliseconds);
        self.failed += other.failed;
        self
    }

    /// Summarises the latencies.
    pub(super) fn latencies(mut self) -> Latencies {
        self.milliseconds.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (self.milliseconds.len() as f64 * share) as usize;
            self.milliseconds.get(index).copied().unwrap_or(f64::NAN)
        };
        Latencies { p50: at(0.5), p99: at(0.99), failed: self.failed }
    }
}

/// Sends a request at most every `pace` until `stop` is set. A failed request is counted with its
/// time, and the next one gets a new connection.
pub(super) fn send_until(
    address: SocketAddr,
    request: &[u8],
    pace: Duration,
    stop: &AtomicBool,
) -> Samples {
    let mut answers = Samples::default();
    let mut client = None;
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let answered = send(address, &mut client, request);
        answers.milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
        if !answered {
            answers.failed += 1;
            client = None;
        }
        thread::sleep(pace.saturating_sub(started.elapsed()));
    }

    answers
}

/// Sends one request, on a new connection if there is none. Returns true for a response of status
/// 200.
fn send(address: SocketAddr, client: &mut Option<Client>, request: &[u8]) -> bool {
    if client.is_none() {
        *client = Client::connect(address).ok();
    }
    client.as_mut().is_some_and(|client| matches!(client.send(request), Ok(Some(_))))
}

/// A request that takes microseconds.
pub(super) fn short_request() -> Result<Vec<u8>> {
    let case = models::cases()?.into_iter().next().context("no golden case")?;
    Ok(http_client::infer(Some(VICTIM), "house-price", &case.request))
}

/// A request that computes for 20 ms.
fn long_request() -> Vec<u8> {
    http_client::infer(
        Some(VICTIM),
        "scripted",
        br#"{"inputs":[],"parameters":{"behave":"slow:20"}}"#,
    )
}

/// Replaces a model of the victim several times. Returns the median time until the new version
/// responds, in milliseconds.
fn swap(scene: &AttackedServer) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..SWAPS {
        let time = swap_once(scene)?;
        if time.is_infinite() {
            return Ok(time);
        }
        times.push(time);
    }
    Ok(median(times))
}

/// Installs the next version of a model and waits until it responds. Returns the milliseconds, or
/// infinity after a timeout.
pub(super) fn swap_once(scene: &AttackedServer) -> Result<f64> {
    let case = models::cases()?.into_iter().next().context("no golden case")?;
    let request = http_client::infer(Some(VICTIM), "swapped", &case.request);
    let next = version(scene, &request).unwrap_or(0) + 1;
    let staged = scene.staging().join(next.to_string());
    fs::create_dir_all(&staged)?;
    fs::write(staged.join("model.wasm"), models::relabelled(&models::component()?, next))?;

    let started = Instant::now();
    fs::rename(&staged, scene.repository(VICTIM).join("swapped").join(next.to_string()))?;
    while version(scene, &request) != Some(next) {
        if started.elapsed() >= SWAP_TIMEOUT {
            return Ok(f64::INFINITY);
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// The version that responds. `None` if none does.
fn version(scene: &AttackedServer, request: &[u8]) -> Option<u64> {
    let body = Client::connect(scene.server.address()).ok()?.send(request).ok()??;
    let answer: Value = serde_json::from_slice(&body).ok()?;
    answer["model_version"].as_str()?.parse().ok()
}
