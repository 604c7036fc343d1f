//! What must hold of any text that claims to be a `wardian.toml`.

use std::path::Path;
use std::time::Duration;

use super::{Config, check, file};
use crate::fuzzing::check_text;
use crate::model::TenantName;
use crate::repository::keys;

/// The settings of a host. What is accepted is complete and within what makes sense, its paths begin where
/// the file lies unless they say otherwise, and every conflict in it can be told.
pub fn wardian_toml(text: &str) {
    let mut config = Config::default();
    let base = Path::new("/etc/wardian");
    if let Err(faults) = keys::read("wardian.toml", text, |keys| file::fill(keys, base, &mut config)) {
        assert!(faults.count() > 0);
        return check_text(&faults.to_string(), 8000);
    }
    assert!((64 << 10..=4 << 30).contains(&config.engine.max_memory));
    assert!(config.engine.instances > 0 && config.http.max_connections > 0 && config.compile.jobs > 0);
    let repository = &config.repository;
    for interval in [repository.poll_interval, repository.rescan_interval, repository.settle] {
        assert!(interval >= Duration::from_millis(10), "{interval:?} keeps a core busy");
    }
    let defaults = Config::default();
    for (path, default) in [(&config.state, &defaults.state), (&repository.models, &defaults.repository.models)] {
        assert!(path.is_absolute() || path == default, "{path:?}");
    }
    let exposed = !config.listen.ip().to_canonical().is_loopback() && !config.insecure;
    let conflicts = check::conflicts(&config);
    assert!(!exposed || !conflicts.is_empty(), "it listens to everyone and asks nobody who they are");
    conflicts.iter().for_each(|conflict| check_text(conflict, 800));
    let directory = config.directory(TenantName::default_tenant());
    assert!(directory.state.starts_with(&config.state));
}
