//! The services that the handlers use.

use std::sync::Arc;
use std::time::Duration;

use super::cors::Cors;
use super::dashboard::Dashboard;
use super::origin_check::AllowedHosts;
use crate::dataplane::DataPlane;
use crate::deferred::TaskRunner;
use crate::lifecycle::Manager;
use crate::model::ModelName;
use crate::store::Stores;
use crate::telemetry::Telemetry;
use crate::tenant::{TenantConfigFaults, Tenants, Workers};

/// The services that the handlers use. Cheap to clone.
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
    /// The web pages of other origins that may call the server.
    pub cors: Cors,
    /// The model of `POST /invocations` for requests that name none.
    pub default_model: Option<ModelName>,
    /// Time of silence after which a WebSocket connection ends.
    pub keep_alive: Duration,
    /// The dashboard.
    pub dashboard: Dashboard,
}
