//! Settings of HTTP connections. They are here and not in `server`, which is built from a
//! configuration and so depends on this module.

use std::time::Duration;

use crate::model::Host;

/// HTTP connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Limit of open connections. Beyond it, idle ones are closed.
    pub max_connections: u32,
    /// Time limit of receiving a request's headers.
    pub header_read_timeout: Duration,
    /// Idle time after which a connection is closed.
    pub keep_alive: Duration,
    /// Time limit of a client that does not read its response.
    pub write_timeout: Duration,
    /// Further host names of a server without keys, beside those of its own machine.
    pub hosts: Vec<Host>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            // Each takes a file descriptor and about 50 kB. More clients come through a proxy.
            max_connections: 4096,
            // Headers fit into a packet or two. Only broken or hostile clients need longer.
            header_read_timeout: Duration::from_secs(10),
            // Proxies keep idle connections for 60 s, and the server must not close first.
            keep_alive: Duration::from_secs(75),
            // Longer than pauses of a network, and than a page's processing of a part.
            write_timeout: Duration::from_secs(30),
            hosts: Vec::new(),
        }
    }
}
