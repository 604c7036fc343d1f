//! The place of what `load` needs for a while only.
//!
//! The snapshot of a model is its memory from the first page to the last that is not empty. What
//! `load` has freed would be in it: the file, its parsed form, lists that have grown. So the
//! allocator of the runtimes clears memory that is freed during `load`, and takes what is asked for
//! in [`scratch`] from a region behind the heap, which is empty at the end and not in the snapshot.
//!
//! It is about the place alone: memory stays valid until it is freed, wherever it is. Natively
//! nothing of this happens.

/// Runs a function whose allocations are mostly freed before `load` ends. What stays should be
/// copied in [`keep`], or the snapshot reaches from the heap to there.
pub fn scratch<R>(run: impl FnOnce() -> R) -> R {
    with_scratch(true, run)
}

/// Runs a function within [`scratch`] whose allocations stay.
pub fn keep<R>(run: impl FnOnce() -> R) -> R {
    with_scratch(false, run)
}

#[cfg(target_family = "wasm")]
pub use imp::Allocator;
#[cfg(target_family = "wasm")]
pub(crate) use imp::{end_load, start_load, with_scratch};

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{end_load, start_load, with_scratch};

#[cfg(not(target_family = "wasm"))]
mod native {
    pub(crate) fn start_load(_file: usize) {}

    pub(crate) fn end_load() {}

    pub(crate) fn with_scratch<R>(_in_scratch: bool, run: impl FnOnce() -> R) -> R {
        run()
    }
}

#[cfg(target_family = "wasm")]
#[allow(unsafe_code)]
mod imp {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::arch::wasm32::{memory_grow, memory_size};
    use std::cell::Cell;
    use std::hint::black_box;

    /// Bytes of a page of memory.
    const PAGE: usize = 64 << 10;

    /// The most bytes of the region besides the file. Freed memory in it is not used again, so the
    /// region of a large file would take too much of the model's limit.
    const MOST: usize = 16 << 20;

    /// The size of a large file, of which the region holds nothing else.
    const LARGE: usize = 4 << 20;

    static REGION: Region = Region {
        is_loading: Cell::new(false),
        is_scratch: Cell::new(false),
        start: Cell::new(0),
        top: Cell::new(0),
        end: Cell::new(0),
        limit: Cell::new(0),
    };

    /// Starts to clear freed memory, for a file of so many bytes.
    pub(crate) fn start_load(file: usize) {
        let end = memory_size::<0>().saturating_mul(PAGE);
        [&REGION.start, &REGION.top, &REGION.end].iter().for_each(|place| place.set(end));
        let others = if file < LARGE { MOST } else { 0 };
        REGION.limit.set(end.saturating_add(file).saturating_add(others));
        REGION.is_loading.set(true);
    }

    /// Ends it.
    pub(crate) fn end_load() {
        REGION.is_loading.set(false);
    }

    /// Runs a function that allocates in the region, or on the heap.
    pub(crate) fn with_scratch<R>(is_scratch: bool, run: impl FnOnce() -> R) -> R {
        let before = REGION.is_scratch.replace(is_scratch && REGION.is_loading.get());
        let result = run();
        REGION.is_scratch.set(before);
        result
    }

    /// Memory behind the heap, taken from one end.
    struct Region {
        is_loading: Cell<bool>,
        is_scratch: Cell<bool>,
        /// The addresses of the region, of its free part, and behind it.
        start: Cell<usize>,
        top: Cell<usize>,
        end: Cell<usize>,
        /// The address that it must not reach.
        limit: Cell<usize>,
    }

    // SAFETY: a runtime is built without threads: there is one memory for one thread.
    unsafe impl Sync for Region {}

    impl Region {
        /// Takes memory; `None` if there is no more.
        fn take(&self, layout: Layout) -> Option<usize> {
            let address = self.top.get().checked_next_multiple_of(layout.align())?;
            let end = address.checked_add(layout.size()).filter(|end| *end <= self.limit.get())?;
            self.grow(end)?;
            self.top.set(end);
            Some(address)
        }

        /// Makes the region reach to `end`. `None` if the heap has grown behind it, or the memory
        /// has its limit.
        fn grow(&self, end: usize) -> Option<()> {
            let more = end.saturating_sub(self.end.get()).div_ceil(PAGE);
            if more == 0 {
                return Some(());
            }
            let is_last = memory_size::<0>().checked_mul(PAGE) == Some(self.end.get());
            if !is_last || memory_grow::<0>(more) == usize::MAX {
                return None;
            }
            self.end.set(self.end.get() + more * PAGE);
            Some(())
        }

        fn contains(&self, address: usize) -> bool {
            (self.start.get()..self.end.get()).contains(&address)
        }

        /// Changes the size of what was taken last. Returns false if it is other memory.
        fn resize(&self, address: usize, size: usize, new: usize) -> bool {
            let end = address.saturating_add(new);
            let is_last = self.contains(address) && address + size == self.top.get();
            let fits = is_last && end <= self.limit.get() && self.grow(end).is_some();
            if fits {
                self.top.set(end);
            }
            fits
        }

        /// Takes back what was taken last; other memory stays unused.
        fn give_back(&self, address: usize, size: usize) {
            if address + size == self.top.get() {
                self.top.set(address);
            }
        }
    }

    /// The allocator of the runtimes: the system's, but for what [`scratch`](super::scratch) asks.
    #[derive(Debug)]
    pub struct Allocator;

    // SAFETY: a block is either the system's or from the region. `take` returns aligned addresses
    // below `end`, up to which this module alone has grown the memory, so no other allocator has
    // them. `top` goes back only over the block that was taken last, when its owner frees it, so no
    // two blocks overlap. A used region only becomes larger, so a block is freed to where it came
    // from.
    unsafe impl GlobalAlloc for Allocator {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let taken = if REGION.is_scratch.get() { REGION.take(layout) } else { None };
            match taken {
                Some(address) => std::ptr::with_exposed_provenance_mut(address),
                // SAFETY: the caller's promise.
                None => unsafe { System.alloc(layout) },
            }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            if REGION.is_loading.get() {
                // SAFETY: the block is the caller's until it is freed. The compiler must not leave
                // the clearing out because of that.
                unsafe { block.write_bytes(0, layout.size()) };
                black_box(block);
            }
            if REGION.contains(block.addr()) {
                REGION.give_back(block.addr(), layout.size());
            } else {
                // SAFETY: the system's allocator has returned the block.
                unsafe { System.dealloc(block, layout) }
            }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            if !REGION.is_loading.get() && !REGION.contains(block.addr()) {
                // SAFETY: the system's allocator has returned the block; the rest is the caller's
                // promise.
                return unsafe { System.realloc(block, layout, size) };
            }
            if size > layout.size() && REGION.resize(block.addr(), layout.size(), size) {
                return block;
            }
            // SAFETY: the caller's promise is that this is a valid layout, and `block` of `layout`.
            unsafe {
                let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
                if !new.is_null() {
                    new.copy_from_nonoverlapping(block, size.min(layout.size()));
                    self.dealloc(block, layout);
                }
                new
            }
        }
    }
}
