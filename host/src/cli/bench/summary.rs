//! Counts and latencies of the requests.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::histogram::LatencyHistogram;
use crate::cli::request::client::HttpResponse;

/// The entries of `Server-Timing` that are summed.
const SERVER_TIMINGS: [&str; 3] = ["queue", "instance", "compute"];

const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)];

/// Counts and latencies of requests.
#[derive(Clone)]
pub(super) struct Summary {
    latencies: LatencyHistogram,
    /// The sums of the entries of `Server-Timing`, in milliseconds.
    server_times: [f64; SERVER_TIMINGS.len()],
    errors: BTreeMap<String, u64>,
}

impl Summary {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Summary {
            latencies: LatencyHistogram::new()?,
            server_times: [0.0; SERVER_TIMINGS.len()],
            errors: BTreeMap::new(),
        })
    }

    /// Counts a request with its duration.
    pub(super) fn record(&mut self, outcome: &anyhow::Result<HttpResponse>, took: Duration) {
        match outcome {
            Ok(answer) if answer.status.is_success() => {
                self.latencies.record(took);
                for (sum, part) in self.server_times.iter_mut().zip(SERVER_TIMINGS) {
                    *sum += server_timing(&answer.headers, part).unwrap_or(0.0);
                }
            }
            Ok(answer) => self.record_error(error_kind(answer)),
            Err(_) => self.record_error("connection lost".into()),
        }
    }

    fn record_error(&mut self, kind: String) {
        *self.errors.entry(kind).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: Summary) {
        self.latencies.merge(&other.latencies);
        self.server_times.iter_mut().zip(other.server_times).for_each(|(sum, more)| *sum += more);
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
    }

    pub(super) fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The lines for the terminal.
    pub(super) fn lines(&self, seconds: f64) -> Vec<String> {
        let answered = self.latencies.count();
        let mut lines = vec![format!(
            "answered   {answered} in {seconds:.1} s: {:.1} requests/s",
            answered as f64 / seconds
        )];

        if answered > 0 {
            let quantiles = QUANTILES.map(|(name, part)| {
                format!("{name} {}", format_millis(self.latencies.quantile(part)))
            });
            let mean = format_millis(self.latencies.mean());
            let max = format_millis(self.latencies.max());
            lines.push(format!("latency    mean {mean}, {}, max {max} ms", quantiles.join(", ")));
            let parts: Vec<_> =
                self.part_means().map(|(name, mean)| format!("{name} {mean:.3}")).collect();
            lines.push(format!("of which   {} ms, by the server's account", parts.join(", ")));
        }
        lines.extend(self.errors.iter().map(|(kind, count)| format!("failed     {count}: {kind}")));

        lines
    }

    /// The same as JSON.
    pub(super) fn to_json(&self, seconds: f64) -> Value {
        let answered = self.latencies.count();
        let milliseconds = |time: Duration| time.as_micros() as f64 / 1e3;
        let quantiles = QUANTILES
            .map(|(name, part)| (name.to_owned(), milliseconds(self.latencies.quantile(part))));

        json!({
            "seconds": seconds,
            "answered": answered,
            "requests_per_second": answered as f64 / seconds,
            "latency_ms": {
                "mean": milliseconds(self.latencies.mean()),
                "quantiles": BTreeMap::from(quantiles),
                "max": milliseconds(self.latencies.max()),
            },
            "server_ms": self.part_means().collect::<BTreeMap<_, _>>(),
            "failed": self.errors,
        })
    }

    fn part_means(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let count = self.latencies.count().max(1) as f64;
        let rounded = |milliseconds: f64| (milliseconds * 1e3).round() / 1e3;
        SERVER_TIMINGS
            .into_iter()
            .zip(self.server_times)
            .map(move |(name, sum)| (name, rounded(sum / count)))
    }
}

fn format_millis(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}

/// Reads the milliseconds of an entry, as in `queue;dur=0.012, compute;dur=3.1`.
fn server_timing(headers: &HeaderMap, part: &str) -> Option<f64> {
    let text = headers.get("server-timing")?.to_str().ok()?;
    let entries = text.split(',').filter_map(|entry| entry.trim().split_once(";dur="));
    entries.into_iter().find(|(name, _)| *name == part)?.1.parse().ok()
}

/// The status and the server's error code.
fn error_kind(answer: &HttpResponse) -> String {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match json["code"].as_str() {
        Some(code) => format!("{} {code}", answer.status.as_u16()),
        None => answer.status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_timing_is_read_by_entry() {
        let headers = HeaderMap::from_iter([(
            axum::http::header::HeaderName::from_static("server-timing"),
            "queue;dur=0.012, compute;dur=3.1".parse().unwrap(),
        )]);
        assert_eq!(server_timing(&headers, "compute"), Some(3.1));
        assert_eq!(server_timing(&headers, "instance"), None);
    }
}
