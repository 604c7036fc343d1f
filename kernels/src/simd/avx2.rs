//! AVX2 with FMA: registers of 8 numbers.

use std::arch::x86_64::*;

use super::block::Checked;
use super::integer_block::{CheckedIntegers, GROUP};
use super::integer_tile::{self, IntegerVector};
use super::tile;
use super::vector::{Vector, load_some, store_some};

impl Vector for __m256 {
    const LANES: usize = 8;
    // 12 of the 16 registers are sums, 2 hold a row of the right matrix.
    const ROWS: usize = 6;
    const PANELS: usize = 1;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        unsafe { Self::load(load_some::<8>(from, count).as_ptr()) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        let mut values = [0.0; 8];
        unsafe {
            self.store(values.as_mut_ptr());
            store_some(values, to, count);
        }
    }

    #[inline(always)]
    unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self {
        unsafe { _mm256_fmadd_ps(self, factor, addend) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { _mm256_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn clamp(self, low: Self, high: Self) -> Self {
        // Both instructions return their second operand if one is not a number.
        unsafe { _mm256_min_ps(high, _mm256_max_ps(low, self)) }
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}

/// # Safety
/// The processor must have the instructions, and the addresses must have been checked.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn block(block: &Checked) {
    unsafe { tile::block::<__m256>(block) }
}

/// Sums of products of 8-bit integers.
#[derive(Clone, Copy)]
struct Sums(__m256i);

impl IntegerVector for Sums {
    const LANES: usize = 8;
    const ROWS: usize = 4;
    const PANELS: usize = 1;

    /// The even and the odd integers, with 16 bits each. The instruction for 8 bits would saturate.
    type Right = [__m256i; 2];

    #[inline(always)]
    unsafe fn zero() -> Self {
        unsafe { Sums(_mm256_setzero_si256()) }
    }

    #[inline(always)]
    unsafe fn load_right(from: *const u8) -> [__m256i; 2] {
        unsafe {
            let bytes = _mm256_loadu_si256(from.cast());
            let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(bytes));
            [even, _mm256_srai_epi16::<8>(bytes)]
        }
    }

    #[inline(always)]
    unsafe fn add_products(self, left: [u8; GROUP], [even, odd]: [__m256i; 2]) -> Self {
        let left = u32::from_le_bytes(left);
        unsafe {
            let left_even = _mm256_set1_epi32((left & 0x00ff_00ff) as i32);
            let left_odd = _mm256_set1_epi32((left >> 8 & 0x00ff_00ff) as i32);
            let even = _mm256_madd_epi16(left_even, even);
            let odd = _mm256_madd_epi16(left_odd, odd);
            Sums(_mm256_add_epi32(self.0, _mm256_add_epi32(even, odd)))
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        unsafe { _mm256_storeu_si256(to.cast(), self.0) }
    }
}

/// # Safety
/// The processor must have the instructions, and the addresses must have been checked.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn integer_block(block: &CheckedIntegers) {
    unsafe { integer_tile::block::<Sums>(block) }
}
