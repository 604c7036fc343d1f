//! The registry that `/metrics` is made from. Each module owns its own metrics.

use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// The process's metrics.
#[derive(Default)]
pub struct Telemetry {
    registry: Mutex<Registry>,
}

impl Telemetry {
    /// Lets a module register its metrics under the prefix `wardian_`.
    pub fn register<M>(&self, register: impl FnOnce(&mut Registry) -> M) -> M {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        register(registry.sub_registry_with_prefix("wardian"))
    }

    /// All metrics in the OpenMetrics text format, version 1.0.0.
    pub fn render(&self) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}
