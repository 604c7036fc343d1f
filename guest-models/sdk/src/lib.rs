//! Write a model that Wardian serves, or an [`interceptor`] that wraps models.
//!
//! A model is a type that implements [`Model`], in a crate of type `cdylib` built for
//! `wasm32-wasip2`:
//!
//! ```
//! use wardian_sdk::{Error, Metadata, Model, Request, Response, Tensor};
//!
//! struct Double;
//!
//! impl Model for Double {
//!     fn load() -> Result<Self, Error> {
//!         Ok(Double)
//!     }
//!
//!     fn metadata(&self) -> Metadata {
//!         Metadata::new().input::<f32>("x", [-1]).output::<f32>("y", [-1])
//!     }
//!
//!     fn infer(&self, request: Request) -> Result<Response, Error> {
//!         let x = request.input("x")?.view::<f32>()?;
//!         let y = x.iter().map(|value| value * 2.0);
//!         Ok(Response::new().output(Tensor::new("y", [x.len()], y)))
//!     }
//! }
//!
//! wardian_sdk::export!(Double);
//! ```
//!
//! # Load and snapshot
//! The host calls [`Model::load`] once per version, in a sandbox, and takes a snapshot of its
//! memory; every instance starts from the snapshot. So `load` is the place for slow work, and its
//! results must be plain memory: an open file or stream would be an invalid handle later, and a
//! random seed or the time would be the same in every instance. A `println!` in `load` leaves such
//! a stream behind; use [`info!`] and its siblings.
//!
//! # Native tests
//! The crate also compiles natively, so that a model's own tests run under `cargo test`: logs go to
//! stderr, [`artifacts::read`] reads the crate's folder, [`config::get`] finds no value,
//! [`stream::collect`] returns the parts that a model emits, and [`key_value`], [`session`] and
//! [`tasks`] use memory. With the feature `testing`, `golden::check` compares a model with its
//! `golden.json`.

mod model;
pub use model::{Batching, Deferred, Lifecycle, Migrations, Model, SessionMigration, Streaming};
#[doc(hidden)]
pub use model::{Exported, migration};

mod request;
mod response;
mod tensor;
mod view;
pub use tensor::Typed;
pub use view::{Element, Rows, View};

mod metadata;

mod error;
pub use error::{Error, OrError};

pub mod artifacts;
pub mod config;
pub mod interceptor;
pub mod kernels;
pub mod key_value;
pub mod logging;
#[doc(hidden)]
pub mod runtime;
pub mod session;
pub mod sql;
pub mod stream;
pub mod tasks;
pub mod values;
pub mod weights;

#[cfg(feature = "testing")]
pub mod golden;

#[doc(hidden)]
pub mod bindings;
pub use bindings::types::{
    Datatype, Metadata, Parameter, ParameterValue, Request, Response, Tensor, TensorSpec,
};
