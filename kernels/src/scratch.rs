//! Memory of each thread for what is packed on the fly.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

thread_local! {
    static NUMBERS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Memory of the current thread, which gets it back on drop.
pub(crate) struct Scratch<T: 'static> {
    values: Vec<T>,
    count: usize,
    home: &'static LocalKey<RefCell<Vec<T>>>,
}

/// Returns that many numbers, of any value. A thread keeps what was needed most, so the caller
/// bounds it.
pub(crate) fn numbers(count: usize) -> Scratch<f32> {
    Scratch::new(&NUMBERS, count)
}

/// Returns that many bytes, of any value, as [`numbers`] does.
pub(crate) fn bytes(count: usize) -> Scratch<u8> {
    Scratch::new(&BYTES, count)
}

impl<T: Copy + Default> Scratch<T> {
    fn new(home: &'static LocalKey<RefCell<Vec<T>>>, count: usize) -> Self {
        // Taken rather than borrowed, so that a call within a call gets memory of its own.
        let mut values = home.take();
        if values.len() < count {
            values.resize(count, T::default());
        }
        Scratch { values, count, home }
    }
}

impl<T> Deref for Scratch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[..self.count]
    }
}

impl<T> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[..self.count]
    }
}

impl<T> Drop for Scratch<T> {
    fn drop(&mut self) {
        // A thread that ends has no memory any more.
        let values = std::mem::take(&mut self.values);
        let _ = self.home.try_with(|home| home.replace(values));
    }
}
