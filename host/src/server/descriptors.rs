//! The limit of file descriptors, and the connections that it allows.

use std::fmt;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::accept_queue::queue_capacity;
use crate::config::Config;

/// A limit of file descriptors that is too low for the configured connections.
pub(super) struct DescriptorShortage {
    configured: u32,
    needed: u64,
    limit: u64,
    /// The connections that the limit allows.
    pub(super) connections: u32,
}

/// Raises the limit as far as the process may, and returns it. `None` if there is no limit.
pub(super) fn raise_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit of file descriptors");
            current
        }
    }
}

/// Returns the value that the limit can be raised to. `None` if there is no limit.
pub(super) fn hard_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

impl DescriptorShortage {
    /// Compares the configured connections with a limit. `None` if they fit.
    pub(super) fn check(config: &Config, limit: Option<u64>) -> Option<Self> {
        let limit = limit?;
        let configured = config.http.max_connections;
        let others = other_descriptors(config);
        let needed = others + descriptors_for(configured);
        if needed <= limit {
            return None;
        }

        let left = limit - others.min(limit / 2);
        let most = u32::try_from(left).unwrap_or(u32::MAX).min(configured);
        let connections =
            (1..=most).rev().find(|&connections| descriptors_for(connections) <= left).unwrap_or(1);
        Some(DescriptorShortage { configured, needed, limit, connections })
    }
}

/// The descriptors of some connections, and of those that wait to be served.
fn descriptors_for(connections: u32) -> u64 {
    u64::from(connections) + queue_capacity(connections) as u64
}

/// The descriptors of everything but connections.
fn other_descriptors(config: &Config) -> u64 {
    // The log, the listening socket, watched directories, files being read, outgoing requests.
    const HOST: u64 = 64;
    // The pipes and files of a compile process.
    const CHILD: u64 = 8;
    // A store and a database, each with a journal and several connections.
    const TENANT: u64 = 16;
    HOST + CHILD * u64::from(config.compile.children) + TENANT * config.tenancy.tenants.len() as u64
}

impl fmt::Display for DescriptorShortage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DescriptorShortage { configured, needed, limit, connections } = self;
        write!(
            out,
            "http.max_connections is {configured}, for which the server needs {needed} file descriptors, and it may \
             have {limit}: only {connections} connections will be open at the same time; raise the hard limit (ulimit \
             -Hn, LimitNOFILE= in a systemd unit) or lower http.max_connections"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(max_connections: u32) -> Config {
        let mut config = Config::default();
        config.http.max_connections = max_connections;
        config.compile.children = 16;
        config
    }

    #[test]
    fn connections_leave_descriptors_for_files() {
        assert!(DescriptorShortage::check(&config(4096), None).is_none());
        assert!(DescriptorShortage::check(&config(4096), Some(5000)).is_none());
        for limit in [8, 64, 256, 1024, 4096] {
            let shortage = DescriptorShortage::check(&config(4096), Some(limit)).unwrap();
            let left = limit - descriptors_for(shortage.connections).min(limit);
            assert!(
                left >= other_descriptors(&config(1)).min(limit / 4) || shortage.connections == 1,
                "{limit}: {shortage}"
            );
            assert!(
                shortage
                    .to_string()
                    .contains(&format!("only {} connections", shortage.connections))
            );
        }
        assert!(DescriptorShortage::check(&config(40), Some(256)).is_none());
        assert_eq!(DescriptorShortage::check(&config(4096), Some(256)).unwrap().connections, 120);
    }
}
