//! The routes: each file has the handlers of one subject, and the list of its routes with their
//! access and their documentation.
//!
//! [`GROUPS`] is the list of these lists. `router` builds the router from it, and `openapi` the
//! document that describes it.

pub(in crate::api) mod dashboard;
pub(in crate::api) mod infer;
pub(in crate::api) mod model_routes;
pub(in crate::api) mod predict;

mod config;
mod documentation;
pub(super) mod generate;
mod health;
mod key_value;
mod metadata;
mod metrics;
pub(super) mod openai;
mod repository;
mod repository_body;
mod sagemaker;
mod sessions;
mod stats;
mod tasks;
mod tensorflow;
mod upload;
mod usage;

pub(in crate::api) use super::route;

use route::{Endpoint, Route};

/// The routes of each file.
const GROUPS: &[fn() -> Vec<Endpoint>] = &[
    metadata::endpoints,
    health::endpoints,
    metrics::endpoints,
    documentation::endpoints,
    config::endpoints,
    stats::endpoints,
    infer::endpoints,
    generate::endpoints,
    predict::endpoints,
    sagemaker::endpoints,
    tensorflow::endpoints,
    openai::endpoints,
    repository::endpoints,
    upload::endpoints,
    key_value::endpoints,
    sessions::endpoints,
    tasks::endpoints,
    usage::endpoints,
    dashboard::endpoints,
];

/// Returns all routes.
pub fn routes() -> Vec<Route> {
    endpoints().into_iter().map(|endpoint| endpoint.route).collect()
}

/// Returns all routes with their handlers and documentation.
pub(in crate::api) fn endpoints() -> Vec<Endpoint> {
    GROUPS.iter().flat_map(|endpoints| endpoints()).collect()
}
