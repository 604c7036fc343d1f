//! The HTTP interface: the Open Inference Protocol with its repository extension, SageMaker's
//! contract and the metrics.
//!
//! Within the server, only this module contains wire formats, status codes and handlers. Requests
//! enter at [`Api::serve`]; the modules behind it use the vocabulary of [`crate::model`].
//!
//! The path of a request: `service` assigns an id, records the arrival time, catches panics and
//! discards the part of the body that the handler did not read. `head_checks` and `origin_check`
//! reject malformed and foreign requests, and `cors` names the foreign pages that are allowed.
//! Inference goes straight to its handler; `router` selects the handler of all other requests.
//! `auth` authenticates and authorizes. The handler calls `DataPlane` or `Manager`. `error` maps
//! failures to a status, a code and a text.
//!
//! `routes` has every route with its access, its handler and its documentation, and `route` the
//! types that describe one. `oip` contains the wire codec of the protocol and `http` the mechanics
//! of bodies, headers and connections.

mod access_guard;
mod admin_quota;
mod api_key_header;
mod auth;
mod class_names;
mod context;
mod cors;
mod dashboard;
mod error;
mod extract;
mod generated_text;
mod golden_file;
mod grpc;
mod head_checks;
mod host_work;
mod http;
mod inference;
mod json;
mod not_found;
mod oip;
mod openapi;
mod origin_check;
mod path_hints;
mod route;
mod router;
mod routes;
mod service;
mod state;
mod table;
mod unary;
mod websocket;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;

pub use auth::Access;
pub use cors::Cors;
pub use dashboard::Dashboard;
pub use golden_file::parse_golden;
pub use http::connection::{AnswerHook, Connection, Conversation};
pub use http::guarded_body::{GuardedBody, guard_bytes};
pub use origin_check::AllowedHosts;
pub use route::Route;
pub use routes::model_routes::check_routes;
pub use routes::routes;
pub use service::Api;
pub use state::ApiState;
