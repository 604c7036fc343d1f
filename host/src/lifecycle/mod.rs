//! The lifecycle of versions: from the content of a repository to the versions that serve.
//!
//! The [`Manager`] runs one task for each tenant (`task`), driven by one closed event enum, so that
//! one tenant's files do not delay another tenant. The task merges the announcements of a source
//! into a record per model (`record`), gets the next action from the pure `policy`, and starts it:
//! a load runs in a task of its own (`loading`, `loader`, `proof`), a drain in another (`drain`),
//! and both report back by events. So a load blocks nothing else, and every decision is a function
//! of the recorded state. A validated version asks its tenant's task once before it commits its
//! migrations, because migrations are kept only for a version that is published. Temporary failures
//! are retried together with others that are due at about the same time (`retries`). `readiness`
//! combines the progress of all tenants.
//!
//! Interceptors are loaded, replaced and unloaded like models, and before them. Their effect on
//! their tenant's models is computed again whenever one of them changes (`interceptors`).
//!
//! An upload (`publish`) is loaded once before it is put into the repository, and is served from
//! there like any other file.

mod drain;
mod index;
mod interceptors;
mod load_task;
mod loader;
mod log_rate_limit;
mod manager;
mod metrics;
mod migrate;
mod policy;
mod proof;
mod publish;
mod readiness;
mod record;
mod retry_queue;
mod storage_quota;
mod task;
mod tenant_record;
mod waiters;

pub use index::{IndexEntry, IndexState};
pub use loader::{EngineLoader, LoaderConfig};
pub use manager::{CommandError, Manager, ManagerParts, RefreshError};
pub use migrate::Validated;
pub use proof::{Golden, GoldenCase, ParseGolden, Tolerance};
pub use publish::{PublishError, Published};
