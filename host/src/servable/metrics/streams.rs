//! Prometheus metrics of streamed responses.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::VersionLabels;

type DurationFamily = Family<VersionLabels, Histogram, fn() -> Histogram>;

/// The metric families, with one series for each version that has answered with a stream.
#[derive(Clone)]
pub(super) struct StreamFamilies {
    open: Family<VersionLabels, Gauge>,
    waiting: Family<VersionLabels, Gauge>,
    parts: Family<VersionLabels, Counter>,
    bytes: Family<VersionLabels, Counter>,
    first: DurationFamily,
    whole: DurationFamily,
}

/// One version's series.
pub(in crate::servable) struct StreamMetrics {
    open: Gauge,
    waiting: Gauge,
    parts: Counter<u64, AtomicU64>,
    bytes: Counter<u64, AtomicU64>,
    first: Histogram,
    whole: Histogram,
}

/// A stream in progress, until drop.
pub(in crate::servable) struct OpenStream {
    gauge: Gauge,
    parts: Counter<u64, AtomicU64>,
    bytes: Counter<u64, AtomicU64>,
    first: Histogram,
    whole: Histogram,
    since: Instant,
    begun: bool,
}

impl StreamFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let open = Family::default();
        let waiting = Family::default();
        let parts = Family::default();
        let bytes = Family::default();
        let first: DurationFamily = Family::new_with_constructor(first_part_histogram);
        let whole: DurationFamily = Family::new_with_constructor(whole_histogram);

        registry.register("streams_open", "Answers in parts under way", open.clone());
        let help = "Answers in parts whose model waits for a slow reader";
        registry.register("streams_waiting", help, waiting.clone());
        registry.register("stream_parts", "Parts of answers sent", parts.clone());
        let help = "Parts of answers sent, before they are written as JSON";
        registry.register_with_unit("stream", help, Unit::Bytes, bytes.clone());
        let help = "From a request in parts to its first part";
        registry.register_with_unit("stream_first_part", help, Unit::Seconds, first.clone());
        let help = "From a request in parts to its end, however it ended";
        registry.register_with_unit("stream_duration", help, Unit::Seconds, whole.clone());

        StreamFamilies { open, waiting, parts, bytes, first, whole }
    }

    pub(super) fn version(&self, labels: &VersionLabels) -> StreamMetrics {
        StreamMetrics {
            open: self.open.get_or_create_owned(labels),
            waiting: self.waiting.get_or_create_owned(labels),
            parts: self.parts.get_or_create_owned(labels),
            bytes: self.bytes.get_or_create_owned(labels),
            first: self.first.get_or_create_owned(labels),
            whole: self.whole.get_or_create_owned(labels),
        }
    }

    pub(super) fn forget(&self, labels: &VersionLabels) {
        self.open.remove(labels);
        self.waiting.remove(labels);
        self.parts.remove(labels);
        self.bytes.remove(labels);
        self.first.remove(labels);
        self.whole.remove(labels);
    }
}

impl StreamMetrics {
    /// The gauge of guests that wait for their reader.
    pub(in crate::servable) fn waiting(&self) -> Gauge {
        self.waiting.clone()
    }

    /// Counts a stream as in progress.
    pub(in crate::servable) fn open(&self) -> OpenStream {
        self.open.inc();
        let gauge = self.open.clone();
        let parts = self.parts.clone();
        let bytes = self.bytes.clone();
        let first = self.first.clone();
        let whole = self.whole.clone();
        OpenStream { gauge, parts, bytes, first, whole, since: Instant::now(), begun: false }
    }
}

impl OpenStream {
    /// Counts a part of `bytes` bytes.
    pub(in crate::servable) fn count(&mut self, bytes: u64) {
        self.parts.inc();
        self.bytes.inc_by(bytes);

        if !std::mem::replace(&mut self.begun, true) {
            self.first.observe(self.since.elapsed().as_secs_f64());
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.gauge.dec();
        self.whole.observe(self.since.elapsed().as_secs_f64());
    }
}

/// Buckets from 50 µs (the overhead of a call) to 10 s.
fn first_part_histogram() -> Histogram {
    Histogram::new([
        0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 10.0,
    ])
}

/// Buckets from 1 ms to 1 h, the longest time a response may take.
fn whole_histogram() -> Histogram {
    Histogram::new([0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0])
}
