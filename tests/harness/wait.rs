//! Waiting for a state.

use std::time::{Duration, Instant};

/// Ample time for two cores that are busy with other programs. Only a failing test waits for so
/// long.
pub(super) const DEADLINE: Duration = Duration::from_secs(180);

/// Waits until the condition holds. `what` completes the sentence "… did not come true".
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    until_some(what, || condition().then_some(()));
}

/// Waits until there is a value, and returns it.
pub(crate) fn until_some<T>(what: &str, find: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "within {DEADLINE:?}, {what} did not come true");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
