//! The log on standard error.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::{self, Debug};
use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{self, FieldFn, Writer};

use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::model::is_unprintable;
use crate::telemetry;

/// Sends log lines to standard error, as configured; `RUST_LOG` goes before the configured level. A
/// reader of standard error that stalls or goes away costs lines, and holds nothing up.
pub(super) fn install(config: &LogConfig) -> io::Result<()> {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(config.level.name()));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(telemetry::start_log()?);
    // The subscriber would report its own errors on standard error, and panic where that cannot be
    // written.
    let builder = builder.log_internal_errors(false);
    // Fails only where a subscriber is installed already, which then is the one to use.
    let _ = match config.format {
        LogFormat::Text => {
            builder.fmt_fields(fields(&[])).with_ansi(std::io::stderr().is_terminal()).try_init()
        }
        LogFormat::Json => builder.json().try_init(),
    };

    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Logs a panic as one line, in place of the standard library's report on standard error.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let text = panic.payload_as_str().unwrap_or("no text");
    let location = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let captured = matches!(backtrace.status(), BacktraceStatus::Captured);
    let backtrace = captured.then(|| tracing::field::display(backtrace));

    tracing::error!(panic = text, location, thread = thread.name(), backtrace, "a thread panicked");
}

/// Sends warnings to standard error, for somebody who sits before it; `RUST_LOG` asks for more.
pub(super) fn install_interactive() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LogLevel::Warn.name()));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // There is one tenant, and the repository is where they said, or a temporary copy of it.
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
/// other fields is quoted, and none holds a character that could deceive a reader. Messages and
/// values may come from guests.
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

/// A message or value as it stands in a line. Values that are texts come in quotes already.
fn format_value(value: &str) -> String {
    if value.contains('=') && !is_quoted(value) {
        return format!("{value:?}");
    }
    printable(value)
}

/// True if a value is one text in quotes, as `Debug` writes it.
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
