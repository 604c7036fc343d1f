//! Wardian serves models as sandboxed WebAssembly components.
//!
//! A Wardian case is a sealed glass case in which living plants crossed oceans: light goes in,
//! nothing gets out, and any plant can be lifted out and replaced. This program does that for
//! models. It loads each model as a component in a sandbox, serves it over HTTP, and replaces it
//! the moment new content appears in a directory, without a restart and without a failed request.
//!
//! # The two flows
//!
//! Everything here belongs to one of two flows, and they meet in [`registry`] and nowhere else.
//!
//! **A request**, from left to right, and back by return value: [`api`] tells from its key whose it
//! is, takes its place in the tenant's quota, and decodes the wire format into the vocabulary of
//! [`model`] → [`dataplane`] finds the version that serves and sets the deadline → [`servable`]
//! leads it through the tenant's interceptors, each a servable of its own, none of which is passed
//! by, waits for the right to have an instance at work, and groups requests where the model takes
//! several → [`engine`] makes an instance (or the pool has one), runs the guest within its limits
//! and when its tenant's turn has come, and says what its end means → [`api`] encodes the answer,
//! or maps the error by one table. Guards give back what was taken, whatever happens on the way. An
//! answer in parts goes the same way and owns what it holds until its last part is taken: the guest
//! hands its parts to an emitter (`capability/emitter.rs`), which suspends it while its reader is
//! slow.
//!
//! A request of a session waits until those before it are done, and what its call has left is kept
//! in the tenant's [`store`] before it is answered (`servable/sequence`). What it has left for
//! later begins when its answer is on its way: [`deferred`] works it off, one call after another,
//! in the version that serves then.
//!
//! **A dropped `.wasm`**, from top to bottom: [`repository`] notices, lets the file settle, and
//! announces everything it sees → the tenant's own task in [`lifecycle`] asks its policy for the
//! next action → its loader finds the artifact or has a child process compile, load and snapshot
//! the component → the version warms up and answers its golden requests → one atomic swap in
//! [`registry`] makes it live → what it replaced answers its last requests, says goodbye and gives
//! its memory back. A repository behind a URL is mirrored into a directory by a task of its own,
//! and is from there on a directory like any other. A tenant's interceptors take the same way
//! before its models do, and are asked about every model that comes. An upload is received beside
//! the models, shown to load and answer, and renamed in: from there it is a dropped `.wasm` like
//! any other.
//!
//! # What depends on what
//!
//! Nothing names a module to its left:
//!
//! ```text
//! cli → server → config → api ─┬→ dataplane ──────┬→ registry → servable → engine → capability ─┬→ store ────┬→ tenant → model
//!                              ├→ deferred ───────┤                                             └→ database ─┘
//!                              └→ lifecycle ─┬────┘
//!                                            └→ repository → tenant → model
//! ```
//!
//! Whoever writes files may ask `disk` whether there was no room for them.
//! Whoever reads files that others can change opens them through [`files`]. What is kept in SQLite
//! files goes through [`journal`], which keeps each file and what was last written to it together.
//!
//! # Tenants
//!
//! Tenants do not trust each other, and nobody trusts their models. [`tenant`] holds whatever
//! belongs to one: who may ask in its name, how much it may hold and holds now, what its guests
//! have written, and how far it has come in CPU time. A tenant is decided once, where a request
//! enters (`api/auth.rs`) or where a source announces (`repository/directory.rs`), and every name
//! after that is looked up within it. What it takes, it takes as a guard: concurrency and a place
//! in the queue for a request, an instance and its memory for as long as the instance lives, a
//! model's place while it is loaded. The cores are shared by turns (`tenant/fair_scheduler.rs`):
//! who has come least far in CPU time by weight goes next.
//!
//! # Invariants
//!
//! - Only [`api`] knows a wire format. Only [`engine`] and [`capability`] name wasmtime. Only
//!   `repository/directory.rs` names notify, and only `repository/remote` object_store.
//! - [`model`] and `lifecycle/policy.rs` do no I/O.
//! - A request never compiles, and never waits for the load of another model. No lock is held
//!   across an await on its path.
//! - Compiled code is shared by models of one tenant, by digest, and never between tenants. An
//!   instance is not shared at all: one request at a time, one tenant and version for life, and
//!   none after a trap.
//! - What serves is never taken down for something that has not shown that it can serve.
//! - What one tenant's files make the host do is done by a thread and a task of that tenant's own,
//!   and bounded: it delays nobody else's.
//! - A repository's files are opened beneath its root's open folder, over no link, and the root is
//!   nobody else's.
//! - No request, guest or file of one tenant can name anything of another: what is another's does
//!   not exist.
//! - A guest runs on the threads for guests only while it holds a turn, and on a thread that serves
//!   HTTP for a millisecond or two, and only if its tenant is within its share of the cores or not
//!   ahead of the others. What the host does for a call with much data, such as looking at a large
//!   answer, is done beside it, or on threads for such work, and its tenant pays for it.
//! - Machine code is only ever read from the artifact store, which only this program's own compile
//!   children write; nothing precompiled is accepted from outside. `engine/map_artifact.rs` is the one place
//!   that is unsafe.
//! - A guest reaches nobody but the origins its model was granted, at the addresses that were
//!   checked, through its tenant's own connections. `capability/http` is the one place where a
//!   guest's bytes leave the host.
//! - A guest's statement reaches its tenant's database and no other, and is judged while it is
//!   prepared. Migrations are kept when their version goes live, or not at all.
//! - What lasts beyond a call is in its tenant's [`store`], and nothing of a call that tries a
//!   version out is.
//! - Whatever a caller or a guest can make grow has a bound: bodies, nesting, queues, log lines,
//!   memory, tables, handles, time.

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

pub mod engine;

pub mod capability;
pub mod store;

pub mod database;

pub mod tenant;

pub mod files;
pub mod journal;
pub mod model;

pub mod essential;
pub mod telemetry;

mod disk_errors;

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
