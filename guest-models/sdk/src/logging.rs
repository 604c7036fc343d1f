//! Log lines for the model's owner.
//!
//! Write them with [`trace!`](crate::trace), [`debug!`](crate::debug), [`info!`](crate::info),
//! [`warn!`](crate::warn) and [`error!`](crate::error), which take the arguments of `format!`.
//! Unlike `println!` they are safe in `load`.

pub use crate::bindings::model::wasi::logging::logging::Level;

/// Writes one line; `context` names the part of the model that it comes from. Natively it goes to
/// stderr.
pub fn log(level: Level, context: &str, message: &str) {
    #[cfg(target_family = "wasm")]
    crate::bindings::model::wasi::logging::logging::log(level, context, message);
    #[cfg(not(target_family = "wasm"))]
    eprintln!("{} {context}: {message}", name(level));
}

#[cfg(not(target_family = "wasm"))]
fn name(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
        Level::Critical => "critical",
    }
}

/// Logs details for the author.
#[macro_export]
macro_rules! trace {
    ($($text:tt)*) => { $crate::log_at!(Trace, $($text)*) };
}

/// Logs information for finding a fault.
#[macro_export]
macro_rules! debug {
    ($($text:tt)*) => { $crate::log_at!(Debug, $($text)*) };
}

/// Logs information for an operator.
#[macro_export]
macro_rules! info {
    ($($text:tt)*) => { $crate::log_at!(Info, $($text)*) };
}

/// Logs a problem that needs attention.
#[macro_export]
macro_rules! warn {
    ($($text:tt)*) => { $crate::log_at!(Warn, $($text)*) };
}

/// Logs an error.
#[macro_export]
macro_rules! error {
    ($($text:tt)*) => { $crate::log_at!(Error, $($text)*) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! log_at {
    ($level:ident, $($text:tt)*) => {
        $crate::logging::log($crate::logging::Level::$level, ::core::module_path!(), &::std::format!($($text)*))
    };
}
