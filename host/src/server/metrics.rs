//! Metrics of connections.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Metrics of connections.
#[derive(Clone)]
pub(super) struct ConnectionMetrics {
    pub(super) open: Gauge,
    /// Waits of connections whose payers were in debt.
    pub(super) waits: Counter,
    closed: Family<Labels, Counter>,
}

/// The reason for which the server closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// The client exceeded a timeout.
    Timeout,
    /// The connection was evicted for another one.
    Evicted,
    /// The queue of waiting connections was full.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    reason: &'static str,
}

impl ConnectionMetrics {
    /// Registers the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = ConnectionMetrics {
            open: Gauge::default(),
            waits: Counter::default(),
            closed: Family::default(),
        };
        registry.register("connections_open", "Connections that are open", metrics.open.clone());
        let help = "Waits of connections whose requests took time that guests needed";
        registry.register("connections_paced", help, metrics.waits.clone());
        let help = "Connections that the server has closed, by reason";
        registry.register("connections_closed", help, metrics.closed.clone());
        metrics
    }

    pub(super) fn record_closed(&self, reason: CloseReason) {
        let label = match reason {
            CloseReason::Timeout => "timeout",
            CloseReason::Evicted => "room",
            CloseReason::Refused => "refused",
        };
        self.closed.get_or_create(&Labels { reason: label }).inc();
    }
}
