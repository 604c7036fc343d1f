//! The resources that a server holds, measured from outside and by its own metrics.

use std::fs;

use crate::harness::{Server, until};

/// Resident memory that may stay: slots keep some pages for their next instance, and allocators
/// keep some memory.
const MAY_STAY: u64 = 96 << 20;

/// Threads that read files are started under load and live for a while. The bound is below one for
/// each attempt.
const MORE_THREADS: usize = 8;

/// The resources that a server holds at one moment.
#[derive(Debug)]
pub(super) struct Traces {
    resident: u64,
    threads: usize,
    files: usize,
    quotas: Vec<u64>,
}

impl Traces {
    pub(super) fn of(server: &Server) -> Traces {
        let quotas = ["concurrency", "queue", "memory", "instances", "models", "storage"];
        let tenant = server.tenant("default");
        Traces {
            resident: server.resident(),
            threads: entries(server, "task"),
            files: entries(server, "fd"),
            quotas: quotas.map(|quota| tenant.holds(quota)).to_vec(),
        }
    }

    /// Waits until the server holds no more than this.
    pub(super) fn are_all_that_is_left(&self, server: &Server) {
        until(&format!("that the server holds no more than before, which was {self:?}"), || {
            let now = Traces::of(server);
            now.quotas == self.quotas
                && now.threads <= self.threads + MORE_THREADS
                && now.files <= self.files
                && now.resident <= self.resident + MAY_STAY
        });
        server.get("/v2/health/ready").ok();
    }
}

/// Returns the number of entries in a folder of the process in `/proc`.
fn entries(server: &Server, folder: &str) -> usize {
    fs::read_dir(format!("/proc/{}/{folder}", server.process_id())).unwrap().count()
}
