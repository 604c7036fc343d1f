//! Plain Rust, for processors without a path of their own. The other paths are tested against it.

use std::array;

use super::block::Checked;
use super::integer_block::{CheckedIntegers, GROUP};
use super::integer_tile::{self, IntegerVector};
use super::tile;
use super::vector::{Vector, load_some, store_some};

/// Numbers side by side, which the compiler may put into a register.
#[derive(Clone, Copy)]
struct Lanes([f32; 4]);

impl Vector for Lanes {
    const LANES: usize = 4;
    // 8 sums and 4 numbers of the right matrix, where there are 16 registers.
    const ROWS: usize = 2;
    const PANELS: usize = 1;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Lanes([value; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Lanes(from.cast::<[f32; 4]>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        unsafe { Lanes(load_some(from, count)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        unsafe { store_some(self.0, to, count) }
    }

    #[inline(always)]
    unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self {
        Lanes(array::from_fn(|lane| self.0[lane] * factor.0[lane] + addend.0[lane]))
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Lanes(array::from_fn(|lane| self.0[lane] + other.0[lane]))
    }

    #[inline(always)]
    unsafe fn clamp(self, low: Self, high: Self) -> Self {
        let clamp = |value: f32, low, high| {
            let value = if value < low { low } else { value };
            if value > high { high } else { value }
        };
        Lanes(array::from_fn(|lane| clamp(self.0[lane], low.0[lane], high.0[lane])))
    }
}

/// # Safety
/// The addresses must have been checked.
pub(super) unsafe fn block(block: &Checked) {
    unsafe { tile::block::<Lanes>(block) }
}

/// Sums of products of 8-bit integers.
#[derive(Clone, Copy)]
struct Sums([i32; 4]);

impl IntegerVector for Sums {
    const LANES: usize = 4;
    const ROWS: usize = 2;
    const PANELS: usize = 1;

    type Right = [[i8; GROUP]; 4];

    #[inline(always)]
    unsafe fn zero() -> Self {
        Sums([0; 4])
    }

    #[inline(always)]
    unsafe fn load_right(from: *const u8) -> Self::Right {
        unsafe { from.cast::<Self::Right>().read() }
    }

    #[inline(always)]
    unsafe fn add_products(self, left: [u8; GROUP], right: Self::Right) -> Self {
        Sums(array::from_fn(|lane| {
            let products = left.iter().zip(right[lane]);
            let sum: i32 = products.map(|(left, right)| i32::from(*left) * i32::from(right)).sum();
            self.0[lane].wrapping_add(sum)
        }))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        unsafe { to.cast::<[i32; 4]>().write_unaligned(self.0) }
    }
}

/// # Safety
/// The addresses must have been checked.
pub(super) unsafe fn integer_block(block: &CheckedIntegers) {
    unsafe { integer_tile::block::<Sums>(block) }
}
