//! The HTTP interface: the Open Inference Protocol with its repository extension, SageMaker's
//! contract and the metrics.
//!
//! Within the server, only this module contains wire formats, status codes and handlers. Requests
//! enter at [`Api::serve`]; the modules behind it use the vocabulary of [`crate::model`].
//!
//! The path of a request: `service` assigns an id, records the arrival time, catches panics and
//! discards the part of the body that the handler did not read. `head_checks` and `origin_check`
//! reject malformed and foreign requests. Inference goes straight to `infer`; `router` selects the
//! handler of all other requests. `auth` authenticates and authorizes. The handler calls
//! `DataPlane` or `Manager`. `error` maps failures to a status, a code and a text.
//!
//! `oip` contains the wire codec of the protocol and `http` the mechanics of bodies, headers and
//! connections. `router` lists every route with its access, its handler and its documentation.

mod admin_quota;
mod auth;
mod config;
mod context;
mod docs;
mod error;
mod extract;
mod generate;
mod golden_file;
mod head_checks;
mod health;
mod host_work;
mod http;
mod infer;
mod inference;
mod json;
mod key_value;
mod metadata;
mod metrics;
mod not_found;
mod oip;
mod origin_check;
mod path_hints;
mod predict;
mod repository;
mod repository_body;
mod route;
mod router;
mod sagemaker;
mod service;
mod sessions;
mod state;
mod stats;
mod table;
mod tasks;
mod tensorflow;
mod unary;
mod upload;
mod usage;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;

#[cfg(test)]
mod openapi_tests;

pub use auth::Access;
pub use golden_file::parse_golden;
pub use http::connection::Connection;
pub use http::guarded_body::GuardedBody;
pub use origin_check::AllowedHosts;
pub use route::Route;
pub use router::routes;
pub use service::Api;
pub use state::ApiState;
