//! From what a repository holds to what serves.
//!
//! Behind the [`Manager`] is one task for each tenant (`task`) with one closed event enum, so that
//! what one tenant's files make the host do delays no other tenant. It merges what a source
//! announces into a record per model (`record`), asks the pure `policy` for the next action, and
//! starts it: a load runs in a task of its own (`loading`, `loader`, `proof`), a drain in another
//! (`drain`), and both come back as events. So nothing it does can be stuck behind a load, and
//! every decision is a function of what it knows. What may pass is tried again together with
//! whatever else is due (`retries`). `readiness` puts together how far the tenants have come.
//!
//! Interceptors are loaded, replaced and unloaded as models are, and before them: what they mean
//! for their tenant's models is worked out anew whenever one of them changes (`interceptors`).
//!
//! What is uploaded (`publish`) is loaded once before it is put into the repository, and comes from
//! there like everything else.

mod drain;
mod index;
mod interceptors;
mod lines;
mod loader;
mod loading;
mod manager;
mod metrics;
mod migrate;
mod policy;
mod proof;
mod publish;
mod readiness;
mod record;
mod retries;
mod storage;
mod task;
mod tenants;
mod waiting;

pub use index::{IndexEntry, IndexState};
pub use loader::{Loader, LoaderConfig};
pub use manager::{CommandError, Manager, ManagerParts, RefreshError};
pub use migrate::Proved;
pub use proof::{Golden, GoldenCase, ParseGolden, Tolerance};
pub use publish::{PublishError, Published};
