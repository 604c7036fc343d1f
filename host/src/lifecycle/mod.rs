//! The lifecycle of versions: from the content of a repository to the versions that serve.
//!
//! The [`Manager`] runs one reconcile loop for each tenant (`reconciler`), driven by one closed
//! event enum (`event`), so that one tenant's files do not delay another tenant. The loop merges
//! the announcements of a source into a record per model (`record`), gets the next action from the
//! pure `policy`, and starts it: a load runs in a task of its own (`load_task`), a drain in another
//! (`drain`), and both report back by events. So a load blocks nothing else, and every decision is
//! a function of the recorded state. `version_state` has the states of a version and their changes.
//! Transient failures are retried together with others that are due at about the same time
//! (`retry_queue`). `readiness` combines the progress of all tenants.
//!
//! The loop loads versions through `loader_traits`. `engine_loader` implements them: it gets the
//! code of a candidate, compiled if need be (`code_loader`), links it with its capabilities, and
//! has it validated (`validation`, `migrate`). A validated version asks its loop once before it
//! commits its migrations, because migrations are kept only for a version that is published.
//!
//! Interceptors are loaded, replaced and unloaded like models, and before them. Their effect on
//! their tenant's models is computed again whenever one of them changes (`interceptors`).
//!
//! Old versions are deleted from the repository where the settings ask for it: `prune_policy` is a
//! pure function that returns them, and `pruner` deletes them in a task of their own.
//!
//! An upload (`publish`) is loaded once before it is put into the repository, and is served from
//! there like any other file.

mod code_loader;
mod drain;
mod engine_loader;
mod engine_version;
mod error;
mod event;
#[cfg(test)]
mod fake_loader;
#[cfg(test)]
mod fake_pruner;
mod guest_log_sink;
mod index_entry;
mod interceptors;
mod load_task;
mod loader_traits;
mod log_rate_limit;
mod manager;
mod metrics;
mod migrate;
mod model_record;
mod policy;
mod prune_policy;
mod prune_schedule;
mod pruner;
mod publish;
mod readiness;
mod reconciler;
mod retry_queue;
mod route_claims;
mod storage_quota;
mod table_keys;
mod tenant_record;
mod validation;
mod version_state;
mod waiters;

pub use code_loader::CodeLoader;
pub use engine_loader::{CheckRoutes, EngineLoader, LoaderConfig};
pub use error::{CommandError, RefreshError};
pub use index_entry::{IndexEntry, IndexState};
pub use loader_traits::Loader;
pub use manager::{Manager, ManagerParts};
pub use migrate::Validated;
pub use publish::{PublishError, Published};
pub use table_keys::TABLE_KEYS;
pub use validation::{Golden, GoldenCase, ParseGolden, Tolerance};
