//! The harness of the tests.
//!
//! ```ignore
//! let server = Server::with_models(|models| models.bare("iris", guest("iris"))).start();
//! server.until_ready("iris", 1);
//! ```

mod client;
mod compiled_code;
mod crash;
mod events;
mod guests;
mod idle_priority;
mod models;
mod process;
mod requests;
mod requirement;
mod server;
mod tenant;
mod wait;
mod wat_models;
mod websocket;

pub(crate) use client::{Call, Pending, Response};
pub(crate) use crash::{Crashes, check_store};
pub(crate) use events::Events;
pub(crate) use guests::{
    guest, guest_folder, multiplier, scripted, scripted_interceptor, scripted_without_snapshot,
    sql_steps,
};
pub(crate) use idle_priority::output_at_idle_priority;
pub(crate) use models::Models;
pub(crate) use requests::version_path;
pub(crate) use requirement::{
    CHROMIUM, CURL, LIBB64, LOOPBACK_NAME, NGINX, NODE, POSTGRES, PYTHON,
};
pub(crate) use server::{Server, Setup};
pub(crate) use tenant::Tenant;
pub(crate) use wait::{until, until_some};
pub(crate) use wat_models::{address, wat_model, wat_model_with};
pub(crate) use websocket::{BINARY, CLOSE, PING, PONG, TEXT, WebSocket, frame};
