//! A count of operations in flight that can be awaited until it is zero.

use tokio::sync::watch;

/// A set of operations in flight. Clones share the set.
#[derive(Clone, Debug, Default)]
pub struct InFlight(watch::Sender<()>);

/// One operation in flight; it ends on drop.
#[derive(Debug)]
pub struct InFlightGuard(#[allow(dead_code)] watch::Receiver<()>);

impl InFlight {
    /// Adds an operation.
    pub fn begin(&self) -> InFlightGuard {
        // No value is ever sent. Only the number of receivers matters.
        InFlightGuard(self.0.subscribe())
    }

    /// Waits until no operation is in flight.
    pub async fn wait_until_idle(&self) {
        self.0.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn it_is_idle_once_the_last_guard_is_dropped() {
        let flights = InFlight::default();
        for _ in 0..2 {
            assert!(flights.wait_until_idle().now_or_never().is_some());
            let one = flights.begin();
            let other = flights.clone().begin();
            let ended = flights.wait_until_idle();
            drop(one);
            tokio::pin!(ended);
            assert!(ended.as_mut().now_or_never().is_none());
            drop(other);
            ended.await;
        }
    }
}
