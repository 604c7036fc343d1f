//! Wake-ups of the thread that scans a directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Wakes the thread. Several wake-ups before it runs count as one.
#[derive(Clone, Debug)]
pub(super) struct Wakeup {
    sender: SyncSender<()>,
    rescans_requested: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

impl Wakeup {
    /// Creates a wakeup with the channel that the thread waits on. `stopped` ends the thread.
    pub(super) fn new(stopped: Arc<AtomicBool>) -> (Self, Receiver<()>) {
        let (sender, receiver) = sync_channel(1);
        (Wakeup { sender, rescans_requested: Arc::default(), stopped }, receiver)
    }

    /// Wakes the thread after a change.
    pub(super) fn wake(&self) {
        // If the channel is full, the thread has yet to receive an earlier wake-up; the scan that
        // follows covers this one too.
        let _ = self.sender.try_send(());
    }

    /// Requests a scan at once. Returns the number of requests so far.
    pub(super) fn request_rescan(&self) -> u64 {
        let number = self.rescans_requested.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake();
        number
    }

    /// Ends the thread.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Returns the number of requested rescans.
    pub(super) fn rescans_requested(&self) -> u64 {
        self.rescans_requested.load(Ordering::SeqCst)
    }

    /// Returns true once the thread has been stopped.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}
