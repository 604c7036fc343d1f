//! `wasi:logging/logging`, and the log lines of guests in general.
//!
//! Log calls, standard output and standard error all become [`LogLine`]s. They are untrusted:
//! control characters are replaced and long lines are cut. A call that writes too much causes one
//! warning, and its further lines are dropped.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;

use self::bindings::wasi::logging::logging as generated;
use super::{Ctx, CtxView, Grants, HasCtx, HostCapability};
use crate::model::{RequestId, sanitize_lines};
use crate::mutex::lock;

mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package wardian:host;
            world logs {
                import wasi:logging/logging@0.1.0-draft;
            }
        ",
        world: "wardian:host/logs",
    });
}

/// The severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names are the interface's own.
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    /// The name used in logs.
    pub fn name(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// One line that a guest wrote, sanitized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The severity.
    pub level: Level,
    /// The context given by the guest; `stdout` or `stderr` for standard output and error.
    pub context: String,
    /// The text.
    pub message: String,
    /// The request during which it was written; empty if during none.
    pub request_id: RequestId,
}

/// The receiver of a guest's log lines.
pub type LogSink = Arc<dyn Fn(LogLine) + Send + Sync>;

/// The longest line kept, in bytes.
const MAX_LINE: usize = 4096;

/// Bytes that one call may log: enough for people, too few to fill a disk.
const CALL_BUDGET: usize = 64 << 10;

/// The log budget and the request id of the current call. Shared with the instance's standard
/// streams.
pub(super) struct CallLog {
    left: AtomicUsize,
    request_id: Mutex<RequestId>,
}

impl CallLog {
    pub(super) fn new(request_id: RequestId) -> Self {
        CallLog { left: AtomicUsize::new(CALL_BUDGET), request_id: Mutex::new(request_id) }
    }

    /// Starts another call.
    pub(super) fn begin(&self, request_id: RequestId) {
        self.left.store(CALL_BUDGET, Ordering::Relaxed);
        *self.lock() = request_id;
    }

    fn lock(&self) -> MutexGuard<'_, RequestId> {
        lock(&self.request_id)
    }

    /// Charges the cost of a line. An instance runs one call at a time, so there are no races.
    fn charge(&self, cost: usize) -> Allowance {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Allowance::Spent;
        }

        self.left.store(left.saturating_sub(cost), Ordering::Relaxed);
        if cost < left { Allowance::Granted } else { Allowance::Last }
    }
}

enum Allowance {
    Granted,
    Last,
    Spent,
}

/// Passes on a guest's line, sanitized and within the call's budget.
pub(super) fn write_line(
    grants: &Grants,
    call: &CallLog,
    level: Level,
    context: &str,
    message: &str,
) {
    let context = sanitize_line(context, 128);
    let message = sanitize_line(message, MAX_LINE);
    // An empty line has a cost too.
    let allowance = call.charge(message.len() + context.len() + 32);
    let line =
        |level, message| LogLine { level, context, message, request_id: call.lock().clone() };

    match allowance {
        Allowance::Granted => (grants.log)(line(level, message)),
        Allowance::Last => {
            let cut =
                format!("this call has logged {} KiB; the rest is dropped", CALL_BUDGET >> 10);
            (grants.log)(line(Level::Warn, cut));
        }
        Allowance::Spent => {}
    }
}

/// Cuts a text to `max` bytes and replaces characters that could move a terminal's cursor or forge
/// a line.
pub fn sanitize_line(text: &str, max: usize) -> String {
    let cut = text.floor_char_boundary(max);
    let line = text.get(..cut).unwrap_or_default().trim_end();
    sanitize_lines(line, max).replace('\n', "\u{fffd}")
}

impl HostCapability for CallLog {
    const IMPORTS: &'static [&'static str] = &["wasi:logging/logging"];

    fn add_to_linker<T: CtxView + WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        generated::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())
    }

    fn begin_call(ctx: &mut Ctx) {
        ctx.call_log.begin(ctx.call.request_id.clone());
    }
}

impl generated::Host for Ctx {
    fn log(&mut self, level: generated::Level, context: String, message: String) {
        let level = match level {
            generated::Level::Trace => Level::Trace,
            generated::Level::Debug => Level::Debug,
            generated::Level::Info => Level::Info,
            generated::Level::Warn => Level::Warn,
            generated::Level::Error | generated::Level::Critical => Level::Error,
        };

        write_line(&self.grants, &self.call_log, level, &context, &message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_off_with_a_warning() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        let log: LogSink = Arc::new(move |line| sink.lock().unwrap().push(line));
        let grants = Grants {
            config: Default::default(),
            sidecars: Default::default(),
            http: None,
            key_value: None,
            sql: None,
            kernels: None,
            log,
        };

        let call = CallLog::new(RequestId::none());
        for _ in 0..10_000 {
            write_line(&grants, &call, Level::Info, "flood", &"x".repeat(100));
        }

        let lines = lines.lock().unwrap();
        assert!(lines.len() < 1000, "{}", lines.len());
        assert!(lines.last().unwrap().message.contains("dropped"));
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(sanitize_line("a\x1b[2Jb\nc\td\n", 100), "a\u{fffd}[2Jb\u{fffd}c\td");
        assert_eq!(sanitize_line("äää", 3), "ä");
    }
}
