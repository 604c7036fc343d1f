//! Wardian serves models as sandboxed WebAssembly components.
//!
//! A Wardian case is a sealed glass case in which living plants crossed oceans: light goes in,
//! nothing gets out, and any plant can be lifted out and replaced. This program does that for
//! models. It loads each model as a component in a sandbox, serves it over HTTP, and replaces it
//! the moment new content appears in a directory, without a restart and without a failed request.
//!
//! # The two flows
//!
//! Everything here belongs to one of two flows. They meet in [`registry`] and nowhere else.
//!
//! **A request:**
//!
//! 1. [`api`] authenticates the API key, takes a place in the tenant's quota, and decodes the wire
//!    format into the types of [`model`].
//! 2. [`dataplane`] finds the version that serves and sets the deadline.
//! 3. [`servable`] passes the request through the tenant's interceptors, each of which is a
//!    servable of its own, acquires an instance, and groups requests if the model accepts batches.
//! 4. [`engine`] creates an instance unless the pool has one, and runs the guest within its limits
//!    and when its tenant has a turn.
//! 5. [`api`] encodes the response, or maps the error by one table.
//!
//! Guards release on drop what the request acquired, whatever its outcome. A streamed response
//! takes the same way and holds its guards until its last part is taken: the guest passes its parts
//! to an emitter (`capability/emitter.rs`), which suspends it while the client is slow.
//!
//! A request of a session waits for the requests before it, and the state that its call leaves is
//! kept in the tenant's [`store`] before the response (`servable/session`). Deferred tasks begin
//! once the response is on its way: [`deferred`] runs them one call after another, in the version
//! that serves at that time.
//!
//! **A dropped `.wasm`:**
//!
//! 1. [`repository`] notices it, waits until the file is stable, and announces the whole scan.
//! 2. The tenant's own task in [`lifecycle`] asks its policy for the next action.
//! 3. The loader finds the artifact, or has a compile process compile, load and snapshot the
//!    component.
//! 4. The version warms up and answers its golden requests.
//! 5. One atomic swap in [`registry`] publishes it.
//! 6. The version that it replaced drains, runs its unload hook and is freed.
//!
//! A repository behind a URL is mirrored into a directory by a task of its own, and is treated as a
//! directory from there on. A tenant's interceptors are loaded in the same way before its models,
//! and may object to any new version of a model. An upload is received beside the models,
//! validated, and renamed into the repository.
//!
//! # Layers
//!
//! A module uses only modules further down. `cargo xtask lint` checks the exact table, in
//! `xtask/src/tidy/layers.rs`. The lower modules, from [`engine`] on, are the crate
//! [`wardian_core`].
//!
//! ```text
//! cli
//!  └ server
//!     ├ config
//!     └ api
//!        ├ dataplane ─ registry ─ servable ─ engine ─ capability ─ store, database
//!        ├ deferred ── registry, servable, store
//!        └ lifecycle ─ registry, servable, repository
//! below all of them: tenant ─ model
//! ```
//!
//! Modules that open files which others can change use [`files`]. SQLite files go through
//! [`journal`], which keeps each file and its last transaction together.
//!
//! # Tenants
//!
//! Tenants do not trust each other, and the host trusts none of their models. [`tenant`] holds the
//! state of a tenant: its API keys, its quotas and their use, the log of its guests, and its
//! virtual time. The tenant is decided once, where a request enters (`api/auth.rs`) or where a
//! repository is scanned (`repository/watch_thread.rs`), and every later name is looked up within
//! it. Quota is acquired as a guard: concurrency and a queue place for a request, an instance and
//! its memory for the life of the instance, a model for as long as it is loaded. The cores are
//! shared by turns (`tenant/fair_scheduler.rs`): the tenant with the least CPU time by weight goes
//! first.
//!
//! # Invariants
//!
//! - Only [`api`] knows a wire format and a status code of the server. Next to it,
//!   `server/accept.rs` names axum for the body of a response, and the client in [`cli`] for HTTP's
//!   types.
//! - Only [`engine`] and [`capability`] name wasmtime, but for the error in [`server`].
//! - No model file is parsed outside a guest. The host looks at its first kilobyte, and at the
//!   domains of the nodes of an ONNX file, to choose the runtime that serves it
//!   (`repository/file_kind.rs`).
//! - Only `repository/folder_watcher.rs` names notify, only `repository/remote` object_store, and
//!   only `database/postgres` tokio-postgres. `xtask/src/tidy/crates.rs` lists these places, and
//!   those that name rusqlite.
//! - [`model`] and `lifecycle/policy.rs` do no I/O.
//! - A request never compiles, and never waits for the load of another model. No lock is held
//!   across an await on its path.
//! - Models of one tenant share compiled code by digest; models of different tenants never do. An
//!   instance is not shared at all: it serves one request at a time, one tenant and version for
//!   life, and none after a trap.
//! - A version that serves is replaced only by one that has been validated.
//! - Host work for one tenant's files runs on a thread and a task of that tenant, within bounds,
//!   and delays no other tenant.
//! - The files of a repository are opened beneath its root's open directory and over no link. No
//!   two repositories overlap.
//! - No request, guest or file of one tenant can name anything of another: for one tenant, the
//!   others do not exist.
//! - A guest runs on a guest thread only while it holds a turn. It runs on an HTTP thread for a
//!   millisecond or two, and only if its tenant is within its share of the cores or not ahead of
//!   the others. Host work on large data, such as the encoding of a large response, is done on
//!   other threads, and its tenant is charged.
//! - While guests need the cores, HTTP work that leads to no guest call is paced by the client that
//!   causes it (`server/pacing.rs`).
//! - Machine code is only ever read from the artifact store, which only this program's compile
//!   processes write. Precompiled code from outside is refused. `engine/map_artifact.rs` is the one
//!   unsafe place.
//! - A guest reaches only the origins that its model was granted, at addresses that were checked,
//!   through its tenant's own connections. `capability/http` is the one place where a guest's bytes
//!   leave the host.
//! - A guest's statement reaches only its tenant's database, and is checked while it is prepared.
//!   Migrations are committed when their version is published, or not at all.
//! - State that outlives a call is in its tenant's [`store`]. Validation leaves nothing there.
//! - Everything that a caller or a guest can make grow has a bound: bodies, nesting, queues, log
//!   lines, memory, tables, handles, time.

// The future of a connection has those of everything that serves a request within it.
#![recursion_limit = "256"]

pub mod cli;

pub mod server;

pub mod config;

pub mod api;

pub mod dataplane;
pub mod deferred;
pub mod lifecycle;

pub mod registry;
pub mod repository;

pub mod servable;

mod toml_reader;

use wardian_core::{allocator, blocking, box_future, disk_errors, mutex};
pub use wardian_core::{
    capability, database, engine, essential, files, journal, model, store, telemetry, tenant,
};

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
