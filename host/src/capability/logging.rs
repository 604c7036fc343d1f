//! `wasi:logging/logging`, and the one way for a guest's words to leave it.
//!
//! Log lines, standard output and standard error all end as [`LogLine`]s. What a guest writes is data
//! from somebody else: control characters are replaced, long lines are cut, and a call that writes too
//! much is told so once and then ignored.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::bindings::wasi::logging::logging as generated;
use super::{Ctx, Grants};

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names are the interface's own.
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// One line that a guest wrote, made safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// What the guest says it is about; `stdout` and `stderr` for those.
    pub context: String,
    /// The text.
    pub message: String,
}

/// Where a guest's lines go.
pub type LogSink = Arc<dyn Fn(LogLine) + Send + Sync>;

/// The longest line kept, in bytes.
const MAX_LINE: usize = 4096;

/// What one call may log, in bytes: ample for people, too little to fill a disk with.
const CALL_BUDGET: usize = 64 << 10;

/// What the present call may still log. Shared with the instance's standard streams.
pub(super) struct Budget(AtomicUsize);

impl Default for Budget {
    fn default() -> Self {
        Budget(AtomicUsize::new(CALL_BUDGET))
    }
}

impl Budget {
    pub(super) fn refill(&self) {
        self.0.store(CALL_BUDGET, Ordering::Relaxed);
    }

    /// Takes the cost of a line; an instance runs one call at a time, so nothing races.
    fn take(&self, cost: usize) -> Allowance {
        let left = self.0.load(Ordering::Relaxed);
        if left == 0 {
            return Allowance::Spent;
        }
        self.0.store(left.saturating_sub(cost), Ordering::Relaxed);
        if cost < left { Allowance::Granted } else { Allowance::Last }
    }
}

enum Allowance {
    Granted,
    Last,
    Spent,
}

/// Passes a guest's line on, cleaned and within its budget.
pub(super) fn write(grants: &Grants, budget: &Budget, level: Level, context: &str, message: &str) {
    let (context, message) = (clean(context, 128), clean(message, MAX_LINE));
    // A line costs something even when it is empty.
    match budget.take(message.len() + context.len() + 32) {
        Allowance::Granted => (grants.log)(LogLine { level, context, message }),
        Allowance::Last => (grants.log)(LogLine {
            level: Level::Warn,
            context,
            message: format!("this call has logged {} KiB; the rest is dropped", CALL_BUDGET >> 10),
        }),
        Allowance::Spent => {}
    }
}

/// Cuts a text to that many bytes and replaces what could move a terminal's cursor or forge a line.
pub fn clean(text: &str, max: usize) -> String {
    let cut = text.floor_char_boundary(max);
    text[..cut]
        .trim_end()
        .chars()
        .map(|char| if char.is_control() && char != '\t' { '\u{fffd}' } else { char })
        .collect()
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
        write(&self.grants, &self.budget, level, &context, &message);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_flood_is_cut_off_with_a_word() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        let log: LogSink = Arc::new(move |line| sink.lock().unwrap().push(line));
        let grants = Grants { config: Arc::default(), sidecars: Arc::default(), log };
        let budget = Budget::default();
        for _ in 0..10_000 {
            write(&grants, &budget, Level::Info, "flood", &"x".repeat(100));
        }
        let lines = lines.lock().unwrap();
        assert!(lines.len() < 1000, "{}", lines.len());
        assert!(lines.last().unwrap().message.contains("dropped"));
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(clean("a\x1b[2Jb\nc\td\n", 100), "a\u{fffd}[2Jb\u{fffd}c\td");
        assert_eq!(clean("äää", 3), "ä");
    }
}
