//! Sends requests over many connections, each when it is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::http::Uri;
use bytes::Bytes;

use super::summary::Summary;
use crate::cli::infer::client::{Client, Header};

/// What to send, where and how often.
pub(super) struct LoadPlan {
    pub(super) url: Uri,
    pub(super) headers: Vec<Header>,
    pub(super) path: String,
    pub(super) body: Bytes,
    pub(super) connections: u32,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    /// Requests a second over all connections; `None` for each as soon as the last is answered.
    pub(super) rate: Option<u32>,
}

/// When requests are due.
struct Schedule {
    start: Instant,
    rate: Option<u32>,
    next: AtomicU64,
}

impl Schedule {
    /// When the next request is due; now, where there is no rate.
    fn next(&self) -> Instant {
        match self.rate {
            None => Instant::now(),
            Some(rate) => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                self.start + Duration::from_secs_f64(number as f64 / f64::from(rate))
            }
        }
    }
}

/// Sends for as long as it says and tells what has come of it. Fails if a connection cannot be
/// made.
pub(super) async fn run(load: LoadPlan) -> Result<Summary> {
    let mut clients = Vec::new();
    for _ in 0..load.connections {
        clients.push(Client::connect(&load.url, load.headers.clone()).await?);
    }
    let load = Arc::new(load);
    let schedule =
        Arc::new(Schedule { start: Instant::now(), rate: load.rate, next: AtomicU64::new(0) });
    let connections = clients
        .into_iter()
        .map(|client| tokio::spawn(run_connection(client, load.clone(), schedule.clone())));
    let mut total = Summary::new();
    for connection in connections.collect::<Vec<_>>() {
        total.merge(connection.await?);
    }
    Ok(total)
}

/// One connection's part. Counts what was due after the warm-up; ends at the end or when the
/// connection is lost.
async fn run_connection(
    mut client: Client,
    load: Arc<LoadPlan>,
    schedule: Arc<Schedule>,
) -> Summary {
    let mut tally = Summary::new();
    let counted = schedule.start + load.warm_up;
    let end = counted + load.duration;
    loop {
        let due = schedule.next();
        if due >= end {
            return tally;
        }
        tokio::time::sleep_until(due.into()).await;
        let outcome = client.post(&load.path, load.body.clone()).await;
        if due >= counted {
            tally.record(&outcome, due.elapsed());
        }
        if outcome.is_err() {
            match Client::connect(&load.url, load.headers.clone()).await {
                Ok(again) => client = again,
                Err(_) => return tally,
            }
        }
    }
}
