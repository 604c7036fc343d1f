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

use super::file_digest::hash_file;
use super::stability::Stamp;
use crate::model::Digest;
use crate::tenant::{Pacer, Tenant, Workers, thread_time};

/// Bytes that one scan may hash on its own thread: about a millisecond of work.
const INLINE_HASH_BYTES: u64 = 1 << 20;

/// Charges the CPU time of scans to a tenant, and hashes its files. Clones charge the same tenant.
#[derive(Clone)]
pub(super) struct ScanMeter {
    /// `None` in a program that serves no tenants.
    payer: Option<(Workers, Arc<Tenant>)>,
    /// Set once the result is no longer needed.
    stopped: Arc<AtomicBool>,
    /// Bytes that the current scan may still hash on its own thread.
    left: u64,
}

impl fmt::Debug for ScanMeter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payer = self.payer.as_ref().map(|(_, tenant)| tenant.name());
        out.debug_struct("ScanMeter").field("payer", &payer).finish_non_exhaustive()
    }
}

impl ScanMeter {
    /// Returns a meter that charges no tenant and hashes on the calling thread.
    pub(super) fn unmetered() -> Self {
        ScanMeter { payer: None, stopped: Arc::default(), left: INLINE_HASH_BYTES }
    }

    /// Returns a meter that charges a tenant.
    pub(super) fn for_tenant(workers: &Workers, tenant: &Arc<Tenant>) -> Self {
        ScanMeter { payer: Some((workers.clone(), tenant.clone())), ..ScanMeter::unmetered() }
    }

    /// Returns the flag that cancels hashing when set.
    pub(super) fn stopped(&self) -> Arc<AtomicBool> {
        self.stopped.clone()
    }

    /// Runs a scan and charges its CPU time.
    pub(super) fn charge<T>(&self, scan: impl FnOnce() -> T) -> T {
        let before = thread_time();
        let outcome = scan();
        if let Some((workers, tenant)) = &self.payer {
            workers.turns().charge(tenant.payer().share(), thread_time().saturating_sub(before));
        }
        outcome
    }

    /// Resets the number of bytes that may be hashed on the scan's own thread.
    pub(super) fn begin_scan(&mut self) {
        self.left = INLINE_HASH_BYTES;
    }

    /// Returns the file and its digest. The digest is `None` if the file, whose stamp is
    /// `expected`, changes or is removed meanwhile. The file is `None` if the work was cancelled.
    /// Fails on a read error.
    pub(super) fn hash_file(
        &mut self,
        file: File,
        expected: Stamp,
    ) -> (Option<File>, io::Result<Option<Digest>>) {
        match &self.payer {
            Some((workers, tenant)) if expected.size > self.left => {
                let hash = move |pace: &Pacer| {
                    let digest = hash_file(&file, expected, pace);
                    (file, digest)
                };
                match workers.run_blocking(tenant.payer().share(), &self.stopped, hash) {
                    Ok((file, digest)) => (Some(file), digest),
                    Err(undone) => (None, Err(io::Error::other(undone))),
                }
            }
            _ => {
                self.left = self.left.saturating_sub(expected.size);
                let digest = hash_file(&file, expected, &Pacer::unmetered());
                (Some(file), digest)
            }
        }
    }
}
