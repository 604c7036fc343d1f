//! What the tests are written in.
//!
//! ```ignore
//! let server = Server::with_models(|models| models.bare("iris", guest("iris"))).start();
//! server.until_ready("iris", 1);
//! ```

#![allow(dead_code, reason = "not every word is used yet")]

mod client;
mod guests;
mod models;
mod process;
mod server;
mod wait;

#[allow(unused_imports, reason = "the harness is one vocabulary, whoever uses which word of it")]
pub(crate) use client::{Call, Pending, Response};
pub(crate) use guests::{guest, guest_folder, puppet, puppet_without_snapshot};
pub(crate) use models::Models;
pub(crate) use server::{Entry, Server, Setup};
pub(crate) use wait::{until, until_some};
