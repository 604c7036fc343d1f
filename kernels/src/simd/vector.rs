//! The operations of an instruction set that the inner loop of products uses.

/// A register of `f32` numbers.
///
/// # Safety
/// The functions may be called only where the processor has the instructions. Pointers must be
/// valid for [`LANES`](Vector::LANES) numbers, or for `count` of them, and need no alignment.
pub(super) trait Vector: Copy {
    /// Numbers of a register; a divisor of [`PANEL`](super::PANEL).
    const LANES: usize;

    /// The most rows of a tile.
    const ROWS: usize;

    /// The most panels of a tile.
    const PANELS: usize;

    /// Returns a register of copies of one number.
    unsafe fn splat(value: f32) -> Self;

    /// Reads a register.
    unsafe fn load(from: *const f32) -> Self;

    /// Reads `count` numbers, less than [`LANES`](Vector::LANES); the other lanes are 0.
    unsafe fn load_first(from: *const f32, count: usize) -> Self;

    /// Writes a register.
    unsafe fn store(self, to: *mut f32);

    /// Writes the first `count` numbers, less than [`LANES`](Vector::LANES).
    unsafe fn store_first(self, to: *mut f32, count: usize);

    /// Returns `self * factor + addend`.
    unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self;

    /// Returns the sum.
    unsafe fn add(self, other: Self) -> Self;

    /// Returns `self`, but at least `low` and at most `high`. What is not a number stays so.
    unsafe fn clamp(self, low: Self, high: Self) -> Self;

    /// Brings the line of memory at an address, which need not be valid, into the cache.
    unsafe fn prefetch(_at: *const f32) {}
}

/// Reads `count` numbers one by one, for instruction sets that cannot do it in a register.
#[inline(always)]
pub(super) unsafe fn load_some<const LANES: usize>(from: *const f32, count: usize) -> [f32; LANES] {
    let mut values = [0.0; LANES];

    for (index, value) in values.iter_mut().enumerate().take(count) {
        // SAFETY: the caller vouches for `count` numbers.
        *value = unsafe { *from.add(index) };
    }

    values
}

/// Writes `count` numbers one by one.
#[inline(always)]
pub(super) unsafe fn store_some<const LANES: usize>(
    values: [f32; LANES],
    to: *mut f32,
    count: usize,
) {
    for (index, value) in values.iter().enumerate().take(count) {
        // SAFETY: the caller vouches for `count` numbers.
        unsafe { *to.add(index) = *value };
    }
}
