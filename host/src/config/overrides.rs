//! Settings from the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Config;
use crate::model::ModelName;
use crate::repository::WatchMode;
use crate::telemetry::{LogFormat, LogLevel};
use crate::tenant::RepositoryLocation;

/// Settings from the command line; `None` keeps the file's value or the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // Each is the setting of that name in `Config`.
pub struct Overrides {
    /// Path of `wardian.toml`; the file must exist.
    pub config: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
    pub insecure: Option<bool>,
    pub state: Option<PathBuf>,
    pub models: Option<RepositoryLocation>,
    pub watch: Option<WatchMode>,
    pub drain_timeout: Option<Duration>,
    pub default_model: Option<ModelName>,
    pub log_format: Option<LogFormat>,
    pub log_level: Option<LogLevel>,
}

impl Overrides {
    pub(super) fn apply(self, config: &mut Config) {
        // Destructured, so that no field is forgotten.
        let Overrides {
            config: _,
            listen,
            insecure,
            state,
            models,
            watch,
            drain_timeout,
            default_model,
            log_format,
            log_level,
        } = self;

        set(&mut config.listen, listen);
        set(&mut config.insecure, insecure);
        set(&mut config.state, state);
        set(&mut config.repository.models, models);
        set(&mut config.repository.watch, watch);
        set(&mut config.drain_timeout, drain_timeout);
        config.default_model = default_model.or(config.default_model.take());
        set(&mut config.log.format, log_format);
        set(&mut config.log.level, log_level);
    }
}

fn set<T>(setting: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *setting = given;
    }
}
