//! Whether requests come in crowds, so that it is worth looking who else has come.
//!
//! Looking costs a turn of the runtime: some tens of microseconds where nobody else is there, which
//! is as much as a small model's whole call. So whoever has been alone for a while looks only now
//! and then.

use std::sync::atomic::{AtomicU32, Ordering};

/// After so many that went alone one after the other, the next will too, as a rule.
const ALONE: u32 = 8;

/// Even then one in so many looks, or a crowd would never be found out.
const LOOK: u32 = 16;

/// How many batches in a row were of one request.
#[derive(Default)]
pub(super) struct Crowd(AtomicU32);

impl Crowd {
    /// Whether others may have come by now.
    pub(super) fn is_likely(&self) -> bool {
        let alone = self.0.load(Ordering::Relaxed);
        alone < ALONE || alone.is_multiple_of(LOOK)
    }

    /// Notes how many went together.
    pub(super) fn note(&self, together: usize) {
        if together > 1 {
            self.0.store(0, Ordering::Relaxed);
        } else {
            // Begins anew after four thousand million, which does no harm.
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_alone_looks_now_and_then_and_a_crowd_always() {
        let crowd = Crowd::default();
        let looks = (0..1000).filter(|_| {
            let looks = crowd.is_likely();
            crowd.note(1);
            looks
        });
        assert_eq!(looks.count() as u32, ALONE + 1000 / LOOK);
        crowd.note(2);
        assert!((0..ALONE).all(|_| {
            let looks = crowd.is_likely();
            crowd.note(1);
            looks
        }));
    }
}
