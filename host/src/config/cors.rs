//! The section `cors` of `wardian.toml`.

use std::time::Duration;

use crate::model::Origin;

/// Web pages of other origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsConfig {
    /// Origins whose pages may call the server; `None` for every origin.
    pub origins: Option<Vec<Origin>>,
    /// True if browsers may send cookies, client certificates and passwords with such calls.
    pub credentials: bool,
    /// Time for which a browser may remember the answer to a preflight.
    pub max_age: Duration,
}

impl Default for CorsConfig {
    fn default() -> Self {
        CorsConfig {
            // Pages of other origins are an addition to a server that its operator must want.
            origins: Some(Vec::new()),
            // Keys are sent in headers that pages set. Only a proxy may ask for more.
            credentials: false,
            // Chrome remembers an answer for two hours at most.
            max_age: Duration::from_secs(600),
        }
    }
}
