//! All of a guest's memory, from its first byte to its last.

// The purpose is to read memory that does not belong to any value, which safe code cannot do. The
// sandbox must hold against exactly this.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::ops::Range;

const PAGE: usize = 64 << 10;
const WORD: usize = 8;

/// Bytes below the stack's present end that are left untouched, for the frames of functions that
/// are called later.
const STACK_IN_USE: usize = 16 << 10;

/// 16 bytes that are not in the component: they are computed from a number in the request.
#[derive(Clone, Copy)]
pub(crate) struct Mark(u64, u64);

impl Mark {
    pub(crate) fn grown_from(seed: u64) -> Self {
        let first = scramble(seed);
        Mark(first, scramble(first))
    }
}

/// The step of SplitMix64.
fn scramble(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Returns the size of the memory in bytes.
pub(crate) fn size() -> usize {
    core::arch::wasm32::memory_size(0) * PAGE
}

/// Adds pages, and returns their range; empty if they cannot be added.
pub(crate) fn grow(pages: usize) -> Range<usize> {
    match core::arch::wasm32::memory_grow(0, pages) {
        usize::MAX => 0..0,
        before => before * PAGE..size(),
    }
}

/// Marks the pages that were just added, and the unused part of the stack, which begins at address
/// 0 and is used from its end.
pub(crate) fn mark_what_is_free(mark: Mark, grown: Range<usize>) {
    let here = 0_u8;
    let stack = black_box(&raw const here) as usize;
    write(mark, 0..stack.saturating_sub(STACK_IN_USE));
    write(mark, grown);
}

/// Marks a few places in the last pages of the unused part of the stack, chosen by a number.
pub(crate) fn sprinkle(mark: Mark, places: u64) {
    const PLACES: u64 = 12;
    const LAST: usize = 2 * PAGE;

    let here = 0_u8;
    let free = (black_box(&raw const here) as usize).saturating_sub(STACK_IN_USE);
    for place in 0..PLACES {
        let chosen = scramble(places.wrapping_mul(PLACES).wrapping_add(place)) as usize;
        let start = free.saturating_sub(LAST + 2 * WORD) + chosen % LAST;
        let start = start & !(2 * WORD - 1);
        write(mark, start..start + 2 * WORD);
    }
}

/// Marks every byte, including its own stack and data, and traps.
pub(crate) fn drown(mark: Mark) -> ! {
    write(mark, 0..size());
    core::arch::wasm32::unreachable()
}

/// Returns the words of memory that are half a mark. Its own variables are not in memory.
#[inline(never)]
pub(crate) fn count(mark: Mark) -> usize {
    let addresses = (black_box(0)..size()).step_by(WORD);
    let found = addresses.filter(|&address| {
        // SAFETY: a read within memory needs no other guarantee, and the engine permits no other
        // read.
        let word = unsafe { (address as *const u64).read_volatile() };
        word == mark.0 || word == mark.1
    });
    found.count()
}

/// Keeps everything in variables, so that it may overwrite the stack.
#[inline(never)]
fn write(mark: Mark, place: Range<usize>) {
    let mut address = place.start;
    while address + 2 * WORD <= place.end {
        // SAFETY: see above.
        unsafe {
            (address as *mut u64).write_volatile(mark.0);
            ((address + WORD) as *mut u64).write_volatile(mark.1);
        }
        address += 2 * WORD;
    }
}
