//! The registry that `/metrics` is made from. Each module owns its own metrics.

mod log_writer;
mod text_format;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

pub(crate) use self::log_writer::{LogWriter, register as register_log};
pub use self::text_format::to_text_format;
use crate::model::TenantName;

/// The log of the process, once it is written by a thread of its own.
static LOG: OnceLock<LogWriter> = OnceLock::new();

/// Starts the thread that writes the log of this process to standard error. Fails if there is no
/// thread for it.
pub(crate) fn start_log() -> io::Result<LogWriter> {
    let writer = LogWriter::start(io::stderr())?;
    Ok(LOG.get_or_init(|| writer).clone())
}

/// Waits until the lines that were logged so far are written, for a second at most.
pub(crate) fn flush_log() {
    if let Some(log) = LOG.get() {
        log.flush();
    }
}

/// The process's metrics.
#[derive(Default)]
pub struct Telemetry {
    registry: Mutex<Registry>,
    /// Bytes of all metrics when they were rendered last.
    length: AtomicUsize,
}

impl Telemetry {
    /// Lets a module register its metrics under the prefix `wardian_`.
    pub fn register<M>(&self, register: impl FnOnce(&mut Registry) -> M) -> M {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        register(registry.sub_registry_with_prefix("wardian"))
    }

    /// One tenant's part of the metrics, in the same format: nothing of the host's own, and of no
    /// other tenant.
    pub fn render_for_tenant(&self, tenant: &TenantName) -> String {
        filter_tenant(tenant, &self.render())
    }

    /// About how many bytes all metrics have.
    pub fn length(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    /// All metrics in the OpenMetrics text format, version 1.0.0.
    pub fn render(&self) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &registry);
        self.length.store(text.len(), Ordering::Relaxed);
        text
    }
}

/// Keeps the lines that carry the tenant's label, and what introduces them. No label's value can
/// forge another label: all are names, which hold neither quotes nor commas, or words of our own.
fn filter_tenant(tenant: &TenantName, text: &str) -> String {
    let (first, later) = (format!("{{tenant=\"{tenant}\""), format!(",tenant=\"{tenant}\""));
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
