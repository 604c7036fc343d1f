//! What is under way, for whoever waits for its end.

use tokio::sync::watch;

/// Things that are under way. A clone is of the same.
#[derive(Clone, Debug, Default)]
pub struct InFlight(watch::Sender<()>);

/// One of them, until this is dropped.
#[derive(Debug)]
pub struct Flight(#[allow(dead_code)] watch::Receiver<()>);

impl InFlight {
    /// Another one.
    pub fn begin(&self) -> Flight {
        // Nothing is ever sent: what counts is that the other end is there.
        Flight(self.0.subscribe())
    }

    /// Waits until none is under way.
    pub async fn ended(&self) {
        self.0.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_end_is_when_the_last_one_has_ended() {
        let flights = InFlight::default();
        for _ in 0..2 {
            assert!(flights.ended().now_or_never().is_some());
            let (one, other) = (flights.begin(), flights.clone().begin());
            let ended = flights.ended();
            drop(one);
            tokio::pin!(ended);
            assert!(ended.as_mut().now_or_never().is_none());
            drop(other);
            ended.await;
        }
    }
}
