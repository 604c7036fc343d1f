//! A future that runs in its payer's turns, for host work that waits now and then, such as a
//! management request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Place, Share, Turns, thread_time};

/// Runs work where it is polled, and charges its CPU time. While its payer is ahead of other
/// tenants, it runs only in a turn, which it gives back when it has to wait.
pub struct InTurns<F> {
    turns: Arc<Turns>,
    share: Arc<Share>,
    place: Option<Place>,
    work: Pin<Box<F>>,
}

impl<F: Future> InTurns<F> {
    pub(super) fn new(turns: Arc<Turns>, share: Arc<Share>, work: F) -> Self {
        InTurns { turns, share, place: None, work: Box::pin(work) }
    }
}

impl<F: Future> Future for InTurns<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if this.place.is_none() && !this.turns.may_start(&this.share) {
            this.place = Some(this.turns.line_up(&this.share));
        }

        if this.place.as_ref().is_some_and(|place| !place.has_come(context)) {
            return Poll::Pending;
        }

        let before = thread_time();
        let outcome = this.work.as_mut().poll(context);
        this.turns.charge(&this.share, thread_time().saturating_sub(before));
        this.place = None;

        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::super::Account;
    use super::*;

    #[test]
    fn whoever_is_ahead_waits_for_a_turn_and_pays() {
        let turns = Turns::new(1);
        let [busy, other] = [Account::new(1), Account::new(1)].map(Share::new);
        let mut context = Context::from_waker(Waker::noop());
        let mut poll = |share: &Arc<Share>| {
            let work = InTurns::new(turns.clone(), share.clone(), async { thread_time() });
            Pin::new(&mut { work }).poll(&mut context).is_ready()
        };

        turns.charge(&busy, Duration::from_secs(1));
        assert!(poll(&busy), "nobody else is there");

        turns.charge(&other, Duration::from_millis(1));
        turns.tick(Duration::from_millis(1));
        turns.charge(&busy, Duration::from_secs(1));

        let used = busy.account().used();
        let turn = turns.line_up(&other);
        assert!(poll(&other) && !poll(&busy));
        assert_eq!(busy.account().used(), used);

        drop(turn);
        assert!(poll(&busy));
        assert!(busy.account().used() > used);
    }
}
