//! Sends requests over many connections, each at its due time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::http::Uri;
use bytes::Bytes;

use super::summary::Summary;
use crate::cli::request::client::{Client, Header};

/// The requests to send, their target and their rate.
pub(super) struct LoadPlan {
    pub(super) url: Uri,
    pub(super) headers: Vec<Header>,
    pub(super) path: String,
    pub(super) body: Bytes,
    pub(super) connections: u32,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    /// Requests per second over all connections. `None` sends each one as soon as the last is
    /// answered.
    pub(super) rate: Option<u32>,
}

/// The due times of requests.
struct Schedule {
    start: Instant,
    rate: Option<u32>,
    next: AtomicU64,
}

impl Schedule {
    /// The due time of the next request. Without a rate it is now.
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

/// Sends requests for the configured duration and returns a summary. Fails if a connection cannot
/// be made.
pub(super) async fn run(load: LoadPlan) -> Result<Summary> {
    let mut clients = Vec::new();
    for _ in 0..load.connections {
        clients.push(Client::connect(&load.url, load.headers.clone()).await?);
    }

    let load = Arc::new(load);
    let schedule =
        Arc::new(Schedule { start: Instant::now(), rate: load.rate, next: AtomicU64::new(0) });

    let empty = Summary::new()?;
    let start = |client| {
        tokio::spawn(run_connection(client, load.clone(), schedule.clone(), empty.clone()))
    };
    let connections: Vec<_> = clients.into_iter().map(start).collect();

    let mut total = empty;
    for connection in connections {
        total.merge(connection.await?);
    }
    Ok(total)
}

/// Sends requests on one connection, and counts those that are due after the warm-up. Ends after
/// the duration, or when the connection is lost and cannot be made again.
async fn run_connection(
    mut client: Client,
    load: Arc<LoadPlan>,
    schedule: Arc<Schedule>,
    mut summary: Summary,
) -> Summary {
    let counted = schedule.start + load.warm_up;
    let end = counted + load.duration;
    loop {
        let due = schedule.next();
        if due >= end {
            return summary;
        }

        tokio::time::sleep_until(due.into()).await;
        let outcome = client.post(&load.path, load.body.clone()).await;

        if due >= counted {
            summary.record(&outcome, due.elapsed());
        }

        if outcome.is_err() {
            match Client::connect(&load.url, load.headers.clone()).await {
                Ok(again) => client = again,
                Err(_) => return summary,
            }
        }
    }
}
