//! Futures on the heap.

use std::pin::Pin;

/// Creates a future on the heap.
///
/// `Box::pin` takes a future from the stack and copies all of its space, although nothing but its
/// captured values is in use before the first poll: 12 KB for a future that serves a request. Here
/// the space is allocated first, and the compiler writes the captured values into it.
#[inline]
pub fn box_future<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    let space = Box::new_uninit();
    Box::into_pin(Box::write(space, make()))
}
