//! Where log lines go.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format;

use crate::config::{LogConfig, LogFormat, LogLevel};

/// Sends log lines to standard error, as configured; `RUST_LOG` goes before the configured level.
pub(super) fn install(config: &LogConfig) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(config.level.name()));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only where a subscriber is installed already, which then is the one to use.
    let _ = match config.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// Sends warnings to standard error, for somebody who sits before it; `RUST_LOG` asks for more.
pub(super) fn install_for_people() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LogLevel::Warn.name()));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // There is one tenant, and the repository is where they said, or a temporary copy of it.
    let fields = format::debug_fn(|out, field, value| match field.name() {
        "tenant" | "root" => Ok(()),
        "message" => write!(out, "{value:?}"),
        name => write!(out, " {name}={value:?}"),
    });
    // As in `install`.
    let _ = builder
        .fmt_fields(fields)
        .without_time()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}
