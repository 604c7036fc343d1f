//! The log on standard error.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::{self, Debug};
use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{self, FieldFn, Writer};

use crate::model::is_unprintable;
use crate::telemetry::{self, LogConfig, LogFormat, LogLevel};

/// Installs the log of the server: lines to standard error, as configured. `RUST_LOG` overrides the
/// configured level. If standard error stalls or closes, lines are dropped and no thread waits.
pub(super) fn install(config: &LogConfig) -> io::Result<()> {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(config.level.name()));

    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(telemetry::start_log()?);
    // By default the subscriber reports its own errors on standard error, and panics if that fails.
    let builder = builder.log_internal_errors(false);
    // Fails only if a subscriber is installed already, which then stays.
    let _ = match config.format {
        LogFormat::Text => {
            builder.fmt_fields(fields(&[])).with_ansi(std::io::stderr().is_terminal()).try_init()
        }
        LogFormat::Json => builder.json().try_init(),
    };

    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Logs a panic as one line, in place of the standard library's report.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let text = panic.payload_as_str().unwrap_or("no text");
    let location = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let captured = matches!(backtrace.status(), BacktraceStatus::Captured);
    let backtrace = captured.then(|| tracing::field::display(backtrace));

    tracing::error!(panic = text, location, thread = thread.name(), backtrace, "a thread panicked");
}

/// Installs the log of an interactive command: warnings to standard error, or what `RUST_LOG`
/// selects.
pub(super) fn install_interactive() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LogLevel::Warn.name()));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // The command has one tenant and one repository, so these fields say nothing.
    let fields = fields(&["tenant", "root"]);

    // As in `install`.
    let _ = builder
        .fmt_fields(fields)
        .without_time()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}

/// Writes the message, then each field as ` name=value`. A message or value that could pass for
/// other fields is quoted. Unprintable characters are replaced, since messages and values may come
/// from guests.
fn fields(
    hidden: &'static [&'static str],
) -> FieldFn<impl Fn(&mut Writer<'_>, &Field, &dyn Debug) -> fmt::Result + Clone> {
    format::debug_fn(move |out: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
        match field.name() {
            "message" => out.write_str(&format_value(&format!("{value:?}"))),
            name if hidden.contains(&name) => Ok(()),
            name => write!(out, " {name}={}", format_value(&format!("{value:?}"))),
        }
    })
}

/// Formats a message or value for a line. Text values are quoted already.
fn format_value(value: &str) -> String {
    if value.contains('=') && !is_quoted(value) {
        return format!("{value:?}");
    }
    printable(value)
}

/// True if a value is one quoted text, as `Debug` writes it.
fn is_quoted(value: &str) -> bool {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mut escaped = false;
    inner.is_some_and(|inner| {
        let ends = inner.chars().any(|char| {
            let ends = char == '"' && !escaped;
            escaped = char == '\\' && !escaped;
            ends
        });
        !ends && !escaped
    })
}

fn printable(text: &str) -> String {
    text.chars()
        .map(|char| if is_unprintable(char) { char::REPLACEMENT_CHARACTER } else { char })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_passes_for_another_field() {
        let error = format_args!("load failed: x tenant=b").to_string();
        assert_eq!(format_value(&error), r#""load failed: x tenant=b""#);
        assert_eq!(format_value("default/iris version 1"), "default/iris version 1");
        let text = r#"x" tenant=b"#;
        assert_eq!(format_value(&format!("{text:?}")), r#""x\" tenant=b""#);
        for (text, quoted) in
            [(r#""a""#, true), (r#""a" b="c""#, false), (r#""a\" b="#, false), ("\"", false)]
        {
            assert_eq!(is_quoted(text), quoted, "{text}");
        }
        assert_eq!(format_value("a\u{202e}b\nc"), "a\u{fffd}b\u{fffd}c");
    }
}
