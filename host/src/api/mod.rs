//! HTTP: the Open Inference Protocol, the repository extension, SageMaker's contract and the
//! metrics.
//!
//! Only this module knows a wire format, a status code or axum. Requests enter at [`Api::serve`];
//! everything behind it speaks the vocabulary of [`crate::model`].
//!
//! One request's way: `edge` gives it an id and a clock and catches panics, and sees to a body that
//! nobody reads (`unread`) → `head` and `foreign` refuse what no route takes → `infer` takes
//! inference at once, `router` finds the handler of everything else → `caller` tells the tenant and
//! whether it may → the handler calls `DataPlane` or `Manager` → `error` maps what went wrong to a
//! status, a code and a text.

mod caller;
mod compressed;
mod config;
mod connection;
mod content_type;
mod digest;
mod docs;
mod edge;
mod error;
mod foreign;
mod generate;
mod golden;
mod head;
mod health;
mod infer;
mod json;
mod kept;
mod key_value;
mod media;
mod memory;
mod metadata;
mod metrics;
mod place;
mod query;
mod repository;
mod repository_body;
mod request_id;
mod router;
mod sagemaker;
mod sessions;
mod stats;
mod tasks;
mod unknown;
mod unread;
mod upload;
mod usage;
mod web_page;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;

use std::sync::Arc;

use crate::dataplane::DataPlane;
use crate::deferred::Deferred;
use crate::lifecycle::Manager;
use crate::model::ModelName;
use crate::store::Stores;
use crate::telemetry::Telemetry;
use crate::tenant::{TenancyFaults, Tenants, Workers};

pub use caller::Access;
pub use connection::Connection;
pub use edge::Api;
pub use golden::parse_golden;
pub use router::{Route, routes};
pub use web_page::Hosts;

/// What the handlers work with.
#[derive(Clone)]
pub struct ApiState {
    /// Answers questions about models and runs them.
    pub dataplane: DataPlane,
    /// Loads and unloads.
    pub manager: Manager,
    /// Tells who is asking.
    pub tenants: Tenants,
    /// What the configuration says of tenants and is not in force.
    pub tenancy_faults: TenancyFaults,
    /// Does what was left for after a response, and tells what that is.
    pub deferred: Deferred,
    /// Renders the metrics.
    pub telemetry: Arc<Telemetry>,
    /// Does the host's own work for tenants.
    pub workers: Workers,
    /// What is kept for tenants.
    pub stores: Stores,
    /// The hosts under which a server without keys may be reached.
    pub hosts: Hosts,
    /// The model that `POST /invocations` means when the request names none.
    pub default_model: Option<ModelName>,
}
