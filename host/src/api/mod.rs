//! The HTTP interface: the Open Inference Protocol with its repository extension, SageMaker's
//! contract and the metrics.
//!
//! Within the server, only this module contains wire formats, status codes and handlers. Requests
//! enter at [`Api::serve`]; the modules behind it use the vocabulary of [`crate::model`].
//!
//! The path of a request: `edge` assigns an id, records the arrival time, catches panics and
//! discards the part of the body that the handler did not read (`unread`). `head` and `web_page`
//! reject malformed and foreign requests. Inference goes straight to `infer`; `router` selects the
//! handler of all other requests. `caller` authenticates and authorizes. The handler calls
//! `DataPlane` or `Manager`. `error` maps failures to a status, a code and a text.

mod admitted_request;
mod auth;
mod config;
mod connection;
mod content_digest;
mod content_type;
mod docs;
mod error;
mod generate;
mod golden;
mod guarded_body;
mod head_checks;
mod health;
mod infer;
mod json;
mod key_value;
mod media_type;
mod metadata;
mod metrics;
mod not_found;
mod origin_check;
mod path_hints;
mod query_parameters;
mod repository;
mod repository_body;
mod request_id;
mod request_memory;
mod response_compression;
mod router;
mod sagemaker;
mod service;
mod sessions;
mod stats;
mod tasks;
mod unread_body;
mod upload;
mod usage;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;

use std::sync::Arc;

use crate::dataplane::DataPlane;
use crate::deferred::TaskRunner;
use crate::lifecycle::Manager;
use crate::model::ModelName;
use crate::store::Stores;
use crate::telemetry::Telemetry;
use crate::tenant::{TenantConfigFaults, Tenants, Workers};

pub use auth::Access;
pub use connection::Connection;
pub use golden::parse_golden;
pub use origin_check::AllowedHosts;
pub use router::{Route, routes};
pub use service::Api;

/// The services that the handlers use.
#[derive(Clone)]
pub struct ApiState {
    /// Finds and runs models.
    pub dataplane: DataPlane,
    /// Loads, unloads and publishes models.
    pub manager: Manager,
    /// Authenticates callers.
    pub tenants: Tenants,
    /// Faults of the tenant configuration that keep parts of it from taking effect.
    pub tenancy_faults: TenantConfigFaults,
    /// Runs and lists deferred tasks, and provides access to sessions.
    pub deferred: TaskRunner,
    /// Renders the metrics.
    pub telemetry: Arc<Telemetry>,
    /// Runs host work for tenants.
    pub workers: Workers,
    /// The key-value stores of the tenants.
    pub stores: Stores,
    /// The allowed hosts of a server without API keys.
    pub hosts: AllowedHosts,
    /// The model of `POST /invocations` for requests that name none.
    pub default_model: Option<ModelName>,
}
