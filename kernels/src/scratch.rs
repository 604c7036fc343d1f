//! Memory of each thread for what is packed on the fly.

use std::cell::RefCell;
use std::thread::LocalKey;

thread_local! {
    static NUMBERS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Calls `run` with that many numbers, of any value. A thread keeps what was needed most, so the
/// caller bounds it.
pub(crate) fn with_numbers<R>(count: usize, run: impl FnOnce(&mut [f32]) -> R) -> R {
    with(&NUMBERS, count, run)
}

/// Calls `run` with that many bytes, of any value, as [`with_numbers`] does.
pub(crate) fn with_bytes<R>(count: usize, run: impl FnOnce(&mut [u8]) -> R) -> R {
    with(&BYTES, count, run)
}

fn with<T: Copy + Default, R>(
    memory: &'static LocalKey<RefCell<Vec<T>>>,
    count: usize,
    run: impl FnOnce(&mut [T]) -> R,
) -> R {
    // Taken rather than borrowed, so that a call within a call gets memory of its own.
    let mut values = memory.take();
    if values.len() < count {
        values.resize(count, T::default());
    }

    let result = run(&mut values[..count]);
    memory.set(values);
    result
}
