//! NEON: registers of 4 numbers.

use std::arch::aarch64::*;

use super::block::Checked;
use super::tile;
use super::vector::{Vector, load_some, store_some};

impl Vector for float32x4_t {
    const LANES: usize = 4;
    // 24 of the 32 registers are sums, 4 hold a row of the right matrix.
    const ROWS: usize = 6;
    const PANELS: usize = 1;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        unsafe { Self::load(load_some::<4>(from, count).as_ptr()) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { vst1q_f32(to, self) }
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
        unsafe { vfmaq_f32(addend, self, factor) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { vaddq_f32(self, other) }
    }

    #[inline(always)]
    unsafe fn clamp(self, low: Self, high: Self) -> Self {
        unsafe { vminq_f32(vmaxq_f32(self, low), high) }
    }
}

/// # Safety
/// The processor must have the instructions, and the addresses must have been checked.
#[target_feature(enable = "neon")]
pub(super) unsafe fn block(block: &Checked) {
    unsafe { tile::block::<float32x4_t>(block) }
}
