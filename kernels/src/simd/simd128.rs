//! The SIMD instructions of WebAssembly: registers of 4 numbers.

use std::arch::wasm32::*;

use super::block::Checked;
use super::integer_block::{CheckedIntegers, GROUP};
use super::integer_tile::{self, IntegerVector};
use super::tile;
use super::vector::{Vector, load_some, store_some};

impl Vector for v128 {
    const LANES: usize = 4;
    // The engine has 16 registers on most processors: 8 for sums, 4 for a row of the right matrix.
    const ROWS: usize = 2;
    const PANELS: usize = 1;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        f32x4_splat(value)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { v128_load(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        unsafe { Self::load(load_some::<4>(from, count).as_ptr()) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { v128_store(to.cast(), self) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        let mut values = [0.0; 4];
        unsafe {
            self.store(values.as_mut_ptr());
            store_some(values, to, count);
        }
    }

    #[inline(always)]
    unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self {
        f32x4_add(f32x4_mul(self, factor), addend)
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        f32x4_add(self, other)
    }

    #[inline(always)]
    unsafe fn clamp(self, low: Self, high: Self) -> Self {
        f32x4_min(f32x4_max(self, low), high)
    }
}

/// # Safety
/// The addresses must have been checked.
pub(super) unsafe fn block(block: &Checked) {
    unsafe { tile::block::<v128>(block) }
}

/// Sums of products of 8-bit integers.
#[derive(Clone, Copy)]
struct Sums(v128);

impl IntegerVector for Sums {
    const LANES: usize = 4;
    const ROWS: usize = 2;
    const PANELS: usize = 1;

    /// The even and the odd integers, with 16 bits each.
    type Right = [v128; 2];

    #[inline(always)]
    unsafe fn zero() -> Self {
        Sums(i32x4_splat(0))
    }

    #[inline(always)]
    unsafe fn load_right(from: *const u8) -> [v128; 2] {
        let bytes = unsafe { v128_load(from.cast()) };
        [i16x8_shr(i16x8_shl(bytes, 8), 8), i16x8_shr(bytes, 8)]
    }

    #[inline(always)]
    unsafe fn add_products(self, left: [u8; GROUP], [even, odd]: [v128; 2]) -> Self {
        let left = u32::from_le_bytes(left);
        let even = i32x4_dot_i16x8(u32x4_splat(left & 0x00ff_00ff), even);
        let odd = i32x4_dot_i16x8(u32x4_splat(left >> 8 & 0x00ff_00ff), odd);
        Sums(i32x4_add(self.0, i32x4_add(even, odd)))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        unsafe { v128_store(to.cast(), self.0) }
    }
}

/// # Safety
/// The addresses must have been checked.
pub(super) unsafe fn integer_block(block: &CheckedIntegers) {
    unsafe { integer_tile::block::<Sums>(block) }
}
