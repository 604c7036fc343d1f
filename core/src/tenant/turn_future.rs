//! A future that runs in its payer's turns, for host work that waits now and then, such as a
//! management request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{CpuShare, FairScheduler, TurnTicket, thread_time};

/// Runs work where it is polled, and charges its CPU time. While its payer is ahead of other
/// tenants, it runs only in a turn, which it gives back when it has to wait.
pub struct TurnFuture<F> {
    turns: Arc<FairScheduler>,
    share: Arc<CpuShare>,
    ticket: Option<TurnTicket>,
    work: Pin<Box<F>>,
}

impl<F: Future> TurnFuture<F> {
    pub(super) fn new(turns: Arc<FairScheduler>, share: Arc<CpuShare>, work: F) -> Self {
        TurnFuture { turns, share, ticket: None, work: Box::pin(work) }
    }
}

impl<F: Future> Future for TurnFuture<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if this.ticket.is_none() && !this.turns.may_start(&this.share) {
            this.ticket = Some(this.turns.enqueue(&this.share));
        }

        if this.ticket.as_ref().is_some_and(|ticket| !ticket.poll_granted(context)) {
            return Poll::Pending;
        }

        let before = thread_time();
        let outcome = this.work.as_mut().poll(context);
        let time = thread_time().saturating_sub(before);
        match this.ticket.take() {
            Some(_turn) => this.turns.charge_in_turn(&this.share, time),
            None => this.turns.charge(&this.share, time),
        }

        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::super::CpuAccount;
    use super::*;

    #[test]
    fn work_of_a_payer_that_is_ahead_waits_for_a_turn_and_is_charged() {
        let turns = FairScheduler::new(1);
        let [busy, other] = [CpuAccount::new(1), CpuAccount::new(1)].map(CpuShare::new);
        let mut context = Context::from_waker(Waker::noop());
        let mut poll = |share: &Arc<CpuShare>| {
            let work = TurnFuture::new(turns.clone(), share.clone(), async { thread_time() });
            Pin::new(&mut { work }).poll(&mut context).is_ready()
        };

        turns.charge(&busy, Duration::from_secs(1));
        assert!(poll(&busy), "no other tenant competes");

        turns.charge(&other, Duration::from_millis(1));
        turns.tick(Duration::from_millis(1));
        turns.charge(&busy, Duration::from_secs(1));

        let used = busy.account().used();
        let turn = turns.enqueue(&other);
        assert!(poll(&other) && !poll(&busy));
        assert_eq!(busy.account().used(), used);

        drop(turn);
        assert!(poll(&busy));
        assert!(busy.account().used() > used);
    }
}
