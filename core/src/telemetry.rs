//! The metrics registry, the history of requests, and the log of the process. Each module registers
//! its own metrics.

mod latency_buckets;
mod log_config;
mod log_writer;
mod request_history;
mod text_format;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

pub use self::latency_buckets::Percentiles;
pub use self::log_config::{LogConfig, LogFormat, LogLevel};
pub use self::log_writer::{LogWriter, register as register_log};
pub use self::request_history::{
    MINUTES, Publication, RequestHistories, RequestHistory, RequestSummary,
};
pub use self::text_format::to_text_format;
use crate::model::TenantName;
use crate::mutex::lock;

/// The log writer of the process, once it has started.
static LOG: OnceLock<LogWriter> = OnceLock::new();

/// Starts the thread that writes the log of this process to standard error. Fails if the thread
/// cannot be started.
pub fn start_log() -> io::Result<LogWriter> {
    let writer = LogWriter::start(io::stderr())?;
    Ok(LOG.get_or_init(|| writer).clone())
}

/// Waits until the lines logged so far are written, for a second at most.
pub fn flush_log() {
    if let Some(log) = LOG.get() {
        log.flush();
    }
}

/// The process's metrics.
#[derive(Default)]
pub struct Telemetry {
    registry: Mutex<Registry>,
    /// Bytes of all metrics, as of the last rendering.
    rendered_size: AtomicUsize,
}

impl Telemetry {
    /// Calls `register` with the registry of the prefix `wardian_`.
    pub fn register<M>(&self, register: impl FnOnce(&mut Registry) -> M) -> M {
        let mut registry = lock(&self.registry);
        register(registry.sub_registry_with_prefix("wardian"))
    }

    /// Renders the metrics of one tenant in the same format, without those of the host and of other
    /// tenants.
    pub fn render_for_tenant(&self, tenant: &TenantName) -> String {
        filter_tenant(tenant, &self.render())
    }

    /// The approximate size of all metrics in bytes.
    pub fn rendered_size(&self) -> usize {
        self.rendered_size.load(Ordering::Relaxed)
    }

    /// All metrics in the OpenMetrics text format, version 1.0.0.
    pub fn render(&self) -> String {
        let registry = lock(&self.registry);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &registry);
        self.rendered_size.store(text.len(), Ordering::Relaxed);
        text
    }
}

/// Keeps the lines with the tenant's label, and their descriptions. No label value can forge
/// another label: values are names without quotes and commas, or constants.
fn filter_tenant(tenant: &TenantName, text: &str) -> String {
    let first = format!("{{tenant=\"{tenant}\"");
    let later = format!(",tenant=\"{tenant}\"");
    let mut kept = String::new();
    let mut introduction = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            if rest.starts_with("HELP ") {
                introduction.clear();
            }
            introduction.push_str(line);
            introduction.push('\n');
        } else if line.contains(&first) || line.contains(&later) {
            kept.push_str(&std::mem::take(&mut introduction));
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept.push_str("# EOF\n");
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_sees_its_own_lines_and_what_introduces_them() {
        let text = "# HELP a Some.\n# TYPE a counter\na_total{tenant=\"x\",model=\"m\"} 1\n\
                    a_total{tenant=\"xy\",model=\"m\"} 2\na_total{model=\"m\",tenant=\"x\"} 3\n\
                    # HELP b Other.\n# TYPE b gauge\nb 1\n# EOF\n";
        let expected = "# HELP a Some.\n# TYPE a counter\na_total{tenant=\"x\",model=\"m\"} 1\n\
                        a_total{model=\"m\",tenant=\"x\"} 3\n# EOF\n";
        assert_eq!(filter_tenant(&TenantName::new("x").unwrap(), text), expected);
        assert_eq!(filter_tenant(&TenantName::new("z").unwrap(), text), "# EOF\n");
    }
}
