//! AVX-512: registers of 16 numbers.

use std::arch::x86_64::*;

use super::block::Checked;
use super::integer_block::{CheckedIntegers, GROUP};
use super::integer_tile::{self, IntegerVector};
use super::tile;
use super::vector::Vector;

impl Vector for __m512 {
    const LANES: usize = 16;
    // 24 of the 32 registers are sums, 3 hold a row of the right matrix.
    const ROWS: usize = 8;
    const PANELS: usize = 3;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        unsafe { _mm512_maskz_loadu_ps(mask(count), from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        unsafe { _mm512_mask_storeu_ps(to, mask(count), self) }
    }

    #[inline(always)]
    unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self {
        unsafe { _mm512_fmadd_ps(self, factor, addend) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { _mm512_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn clamp(self, low: Self, high: Self) -> Self {
        // Both instructions return their second operand if one is not a number.
        unsafe { _mm512_min_ps(high, _mm512_max_ps(low, self)) }
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}

/// A mask of the first `count` of 16 lanes.
#[inline(always)]
fn mask(count: usize) -> __mmask16 {
    ((1_u32 << count) - 1) as __mmask16
}

/// # Safety
/// The processor must have the instructions, and the addresses must have been checked.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn block(block: &Checked) {
    unsafe { tile::block::<__m512>(block) }
}

/// Sums of products of 8-bit integers.
#[derive(Clone, Copy)]
struct Sums(__m512i);

impl IntegerVector for Sums {
    const LANES: usize = 16;
    const ROWS: usize = 8;
    const PANELS: usize = 3;

    type Right = __m512i;

    #[inline(always)]
    unsafe fn zero() -> Self {
        unsafe { Sums(_mm512_setzero_si512()) }
    }

    #[inline(always)]
    unsafe fn load_right(from: *const u8) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn add_products(self, left: [u8; GROUP], right: __m512i) -> Self {
        unsafe {
            Sums(_mm512_dpbusd_epi32(self.0, _mm512_set1_epi32(i32::from_le_bytes(left)), right))
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        unsafe { _mm512_storeu_si512(to.cast(), self.0) }
    }
}

/// # Safety
/// The processor must have the instructions, and the addresses must have been checked.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn integer_block(block: &CheckedIntegers) {
    unsafe { integer_tile::block::<Sums>(block) }
}
