//! Closed-loop and open-loop load: each connection sends its next request after the last response,
//! or when it is due.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::http_client::{self, Layout};
use super::models::Case;
use super::process::Server;
use super::process_stats;

/// The results of one window.
pub(crate) struct LoadResult {
    /// Responses per second.
    pub(crate) rate: f64,
    /// The median latency in microseconds.
    pub(crate) p50: f64,
    /// The 99th percentile of the latency in microseconds.
    pub(crate) p99: f64,
    /// CPU time of the server per request, in microseconds.
    pub(crate) cpu: f64,
}

/// The requests to send and their rate.
pub(crate) struct Workload<'a> {
    /// The model.
    pub(crate) model: &'a str,
    /// The requests, sent in turn.
    pub(crate) cases: &'a [Case],
    /// The number of connections.
    pub(crate) connections: usize,
    /// The tenant. `None` if there is only one.
    pub(crate) tenant: Option<&'a str>,
    /// Requests per second over all connections. `None` for a closed loop.
    pub(crate) rate: Option<f64>,
}

/// A request in the bytes of HTTP/1.1, and the check of the body of its response.
pub(crate) struct Exchange<'a> {
    /// The head and the body of the request.
    pub(crate) request: Vec<u8>,
    /// True if a body is the expected one. Later bodies must be equal to the first.
    pub(crate) is_answer: Box<IsAnswer<'a>>,
}

/// The check of a body.
type IsAnswer<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// Sends the load and measures the server for a window after a warm-up.
pub(crate) fn run(server: &Server, load: &Workload<'_>, window: Duration) -> Result<LoadResult> {
    let cases = load.cases.iter().cycle().take(load.connections);
    let exchanges = cases.map(|case| exchange(load, case)).collect();
    run_exchanges(server, exchanges, load.rate, window)
}

fn exchange<'a>(load: &Workload<'_>, case: &'a Case) -> Exchange<'a> {
    let request = http_client::infer(load.tenant, load.model, &case.request);
    Exchange { request, is_answer: Box::new(|body| case.is_answered_by(body)) }
}

/// Repeats each exchange on a connection of its own, and measures like [`run`].
pub(crate) fn run_exchanges(
    server: &Server,
    exchanges: Vec<Exchange<'_>>,
    rate: Option<f64>,
    window: Duration,
) -> Result<LoadResult> {
    let connections = exchanges.len() as u32;
    let pace = rate.map(|rate| Duration::from_secs_f64(1.0 / rate));

    measure(server, window, async |phase| {
        let mut clients = JoinSet::new();
        for (number, exchange) in (0..).zip(exchanges) {
            let first = first_exchange(server.address(), exchange).await?;
            let pace =
                pace.map(|each| Schedule { offset: each * number, interval: each * connections });
            clients.spawn(first.repeat(phase.clone(), pace));
        }
        Ok(clients)
    })
}

/// Starts clients, and measures the server for a window after a warm-up. Each client returns its
/// latencies in nanoseconds.
pub(crate) fn measure(
    server: &Server,
    window: Duration,
    start: impl AsyncFnOnce(&Phase) -> Result<JoinSet<Result<Vec<u32>>>>,
) -> Result<LoadResult> {
    // One thread takes less of the cores that the server needs than one per connection would.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    runtime.block_on(async {
        let phase = Phase::default();
        let clients = start(&phase).await?;
        let (elapsed, cpu) = measure_window(server.pid(), &phase, window).await?;
        let latencies: Result<Vec<_>> = clients.join_all().await.into_iter().collect();
        Ok(LoadResult::new(latencies?.concat(), elapsed, cpu))
    })
}

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const DONE: u8 = 2;

/// The part of a measurement that is running. Clones share it.
#[derive(Clone)]
pub(crate) struct Phase(Arc<AtomicU8>);

impl Default for Phase {
    fn default() -> Self {
        Phase(Arc::new(AtomicU8::new(WARMING_UP)))
    }
}

impl Phase {
    /// Adds the latency of a response that has arrived, if it is measured. Returns false once the
    /// measurement is over.
    pub(crate) fn record(&self, latency: Duration, latencies: &mut Vec<u32>) -> bool {
        match self.0.load(Ordering::Relaxed) {
            MEASURING => latencies.push(latency.as_nanos().min(u32::MAX.into()) as u32),
            DONE => return false,
            _ => {}
        }
        true
    }

    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }
}

/// Sets the phases. Returns the length of the measurement and the server's CPU time in it.
async fn measure_window(pid: u32, phase: &Phase, window: Duration) -> Result<(Duration, Duration)> {
    tokio::time::sleep((window / 4).min(Duration::from_secs(1))).await;
    phase.set(MEASURING);
    let before = process_stats::cpu_time(pid)?;
    let started = Instant::now();
    tokio::time::sleep(window).await;
    phase.set(DONE);
    Ok((started.elapsed(), process_stats::cpu_time(pid)? - before))
}

/// The due times of a connection's requests.
struct Schedule {
    offset: Duration,
    interval: Duration,
}

/// A connection whose first response was correct.
struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    expected: Vec<u8>,
    buffer: Vec<u8>,
}

async fn first_exchange(address: SocketAddr, exchange: Exchange<'_>) -> Result<Connection> {
    let Exchange { request, is_answer } = exchange;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut connection =
        Connection { stream, request, expected: Vec::new(), buffer: vec![0; 4096] };
    let body = connection.exchange().await?;
    connection.expected = connection.buffer[body].to_vec();
    ensure!(is_answer(&connection.expected), "a server's answer is wrong");
    Ok(connection)
}

impl Connection {
    /// Sends until the phase is over. Returns the nanoseconds of each response in the measurement.
    async fn repeat(mut self, phase: Phase, pace: Option<Schedule>) -> Result<Vec<u32>> {
        let mut latencies = Vec::with_capacity(1 << 16);
        let mut started = Instant::now();
        let mut due = started + pace.as_ref().map_or(Duration::ZERO, |pace| pace.offset);

        loop {
            if let Some(Schedule { interval, .. }) = pace {
                // A request that could not be sent when it was due, because the response before it
                // was late, counts from when it was due. A late wake-up of the client is not
                // counted.
                started = if Instant::now() < due {
                    tokio::time::sleep_until(due.into()).await;
                    Instant::now()
                } else {
                    due
                };
                due += interval;
            }
            let body = self.exchange().await?;
            ensure!(self.buffer[body] == self.expected, "a server's answer changed");
            let now = Instant::now();
            if !phase.record(now - started, &mut latencies) {
                return Ok(latencies);
            }
            started = now;
        }
    }

    async fn exchange(&mut self) -> Result<std::ops::Range<usize>> {
        self.stream.write_all(&self.request).await?;
        let mut filled = 0;

        loop {
            let length = self.stream.read(&mut self.buffer[filled..]).await?;
            ensure!(length > 0, "a server closed the connection");
            filled += length;
            if let Some(Layout { ok, body }) = http_client::layout(&self.buffer[..filled]) {
                let text = String::from_utf8_lossy(&self.buffer[body.clone()]);
                ensure!(ok, "a server refused: {text}");
                return Ok(body);
            }
        }
    }
}

impl LoadResult {
    fn new(mut latencies: Vec<u32>, elapsed: Duration, cpu: Duration) -> Self {
        latencies.sort_unstable();
        let count = latencies.len() as f64;
        let percentile = |share: f64| {
            let index = (count * share) as usize;
            latencies
                .get(index)
                .context("no answers")
                .map_or(f64::NAN, |&nanos| f64::from(nanos) / 1e3)
        };
        let p50 = percentile(0.5);
        let p99 = percentile(0.99);

        LoadResult {
            rate: count / elapsed.as_secs_f64(),
            p50,
            p99,
            cpu: cpu.as_secs_f64() * 1e6 / count,
        }
    }
}
