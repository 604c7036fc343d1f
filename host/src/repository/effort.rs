//! CPU meter of scans: charges a tenant for the scans of its repository.
//!
//! The scan itself is short and runs on the repository's own thread. Hashing beyond a small amount
//! runs on the threads for host work, at lower priority than request handling and in turns with the
//! guests of all tenants.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::digest::digest_of;
use super::settle::Stamp;
use crate::model::Digest;
use crate::tenant::{Pace, Tenant, Workers, thread_time};

/// Bytes that one scan may hash on its own thread: about a millisecond of work.
const HERE: u64 = 1 << 20;

/// Charges the CPU time of scans to a tenant, and hashes its files. Clones charge the same tenant.
#[derive(Clone)]
pub(super) struct Effort {
    /// `None` in a program that serves no tenants.
    payer: Option<(Workers, Arc<Tenant>)>,
    /// Set once the result is no longer needed.
    stopped: Arc<AtomicBool>,
    /// Bytes that the current scan may still hash on its own thread.
    left: u64,
}

impl fmt::Debug for Effort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payer = self.payer.as_ref().map(|(_, tenant)| tenant.name());
        out.debug_struct("Effort").field("payer", &payer).finish_non_exhaustive()
    }
}

impl Effort {
    /// Returns a meter that charges no tenant and hashes on the calling thread.
    pub(super) fn of_nobody() -> Self {
        Effort { payer: None, stopped: Arc::default(), left: HERE }
    }

    /// Returns a meter that charges a tenant.
    pub(super) fn of(workers: &Workers, tenant: &Arc<Tenant>) -> Self {
        Effort { payer: Some((workers.clone(), tenant.clone())), ..Effort::of_nobody() }
    }

    /// Returns the flag that cancels hashing when set.
    pub(super) fn stopped(&self) -> Arc<AtomicBool> {
        self.stopped.clone()
    }

    /// Runs `look` and charges its CPU time.
    pub(super) fn charged<T>(&self, look: impl FnOnce() -> T) -> T {
        let before = thread_time();
        let outcome = look();
        if let Some((workers, tenant)) = &self.payer {
            workers.turns().charge(tenant.payer().share(), thread_time().saturating_sub(before));
        }
        outcome
    }

    /// Resets the number of bytes that may be hashed on the scan's own thread.
    pub(super) fn begin_look(&mut self) {
        self.left = HERE;
    }

    /// Returns the file and its digest. The digest is `None` if the file, whose stamp is `seen`,
    /// changes or is removed meanwhile. Fails on a read error.
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
