//! What it costs to look at a repository, and who pays for it.
//!
//! A look itself is short and done by the repository's own thread. Hashing is not: beyond a little
//! it is done where the host works for tenants, behind whoever reads requests and in turns with
//! everybody's guests.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::digest::digest_of;
use super::settle::Stamp;
use crate::model::Digest;
use crate::tenant::{Pace, Tenant, Workers, thread_time};

/// Bytes that may be hashed in the course of one look where it is made: a millisecond's work.
const HERE: u64 = 1 << 20;

/// Who pays for what a repository costs, and where its files are hashed. A clone is for the same
/// tenant.
#[derive(Clone)]
pub(super) struct Effort {
    /// `None` in a program that serves nobody.
    payer: Option<(Workers, Arc<Tenant>)>,
    /// Nobody waits for the outcome any more.
    stopped: Arc<AtomicBool>,
    /// Bytes that may still be hashed here in the course of the present look.
    left: u64,
}

impl fmt::Debug for Effort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payer = self.payer.as_ref().map(|(_, tenant)| tenant.name());
        out.debug_struct("Effort").field("payer", &payer).finish_non_exhaustive()
    }
}

impl Effort {
    /// The effort of a program that serves nobody: everything is done where it is asked for.
    pub(super) fn of_nobody() -> Self {
        Effort { payer: None, stopped: Arc::default(), left: HERE }
    }

    /// A tenant's effort.
    pub(super) fn of(workers: &Workers, tenant: &Arc<Tenant>) -> Self {
        Effort { payer: Some((workers.clone(), tenant.clone())), ..Effort::of_nobody() }
    }

    /// Set it to have hashing end soon.
    pub(super) fn stopped(&self) -> Arc<AtomicBool> {
        self.stopped.clone()
    }

    /// Charges what a look takes.
    pub(super) fn charged<T>(&self, look: impl FnOnce() -> T) -> T {
        let before = thread_time();
        let outcome = look();
        if let Some((workers, tenant)) = &self.payer {
            workers.turns().charge(tenant.payer().share(), thread_time().saturating_sub(before));
        }
        outcome
    }

    /// Notes that a look begins.
    pub(super) fn begin_look(&mut self) {
        self.left = HERE;
    }

    /// The digest of a file that showed this stamp; `None` if the file changes or goes meanwhile.
    /// Fails as reading does. Gives the file back.
    pub(super) fn digest(
        &mut self,
        file: File,
        seen: Stamp,
    ) -> (Option<File>, io::Result<Option<Digest>>) {
        match &self.payer {
            Some((workers, tenant)) if seen.size > self.left => {
                let hash = move |pace: &Pace| {
                    let digest = digest_of(&file, seen, pace);
                    (file, digest)
                };
                match workers.run_and_wait(tenant.payer().share(), &self.stopped, hash) {
                    Ok((file, digest)) => (Some(file), digest),
                    Err(undone) => (None, Err(io::Error::other(undone))),
                }
            }
            _ => {
                self.left = self.left.saturating_sub(seen.size);
                let digest = digest_of(&file, seen, &Pace::free());
                (Some(file), digest)
            }
        }
    }
}
