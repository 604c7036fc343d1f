//! The log lines of guests, on their way to two logs.

use std::sync::Arc;
use std::time::SystemTime;

use crate::capability::{Level, LogLine, LogSink};
use crate::model::ModelId;
use crate::tenant::{LogDecision, LogEntry, Tenant};

/// Returns a sink that writes a guest's log lines to its tenant's log and to the host's.
pub(super) fn guest_log_sink(tenant: &Arc<Tenant>, id: &ModelId) -> LogSink {
    let tenant = tenant.clone();
    let id = id.clone();
    Arc::new(move |line: LogLine| {
        let entry = LogEntry {
            time: SystemTime::now(),
            model: id.name.clone(),
            version: id.version,
            request_id: line.request_id.to_string(),
            level: line.level.name(),
            context: line.context,
            message: line.message,
        };
        match tenant.log().push(&entry) {
            LogDecision::Write => log_guest_line(&id, line.level, &entry),
            LogDecision::DropAndReport => {
                tracing::warn!(tenant = %id.tenant, "its guests exceed the rate limit of the log; lines are dropped")
            }
            LogDecision::Drop => {}
        }
    })
}

fn log_guest_line(id: &ModelId, level: Level, entry: &LogEntry) {
    let ModelId { tenant, name, version } = id;
    let LogEntry { request_id, context, message, .. } = entry;

    macro_rules! write {
        ($level:ident) => {
            tracing::$level!(
                target: "wardian::guest", %tenant, model = %name, %version, request_id, context, "{message}"
            )
        };
    }

    match level {
        Level::Trace => write!(trace),
        Level::Debug => write!(debug),
        Level::Info => write!(info),
        Level::Warn => write!(warn),
        Level::Error => write!(error),
    }
}
