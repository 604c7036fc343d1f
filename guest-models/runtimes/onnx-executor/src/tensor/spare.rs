//! Memory of values that nothing uses any more, for results that are overwritten: a new list would
//! be filled with zeros first.

use std::cell::RefCell;

use wardian_sdk::Error;

use super::{Data, Tensor, filled};

/// The most lists that are kept.
const MOST: usize = 3;

/// The least elements of a list that is kept. Shorter ones are filled in no time.
const LEAST: usize = 4096;

thread_local! {
    static SPARE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Makes a list of numbers of any value, for a result that is written in full.
///
/// # Errors
/// Rejected if there is not enough memory.
pub fn overwritten(length: usize) -> Result<Vec<f32>, Error> {
    let spare = if length < LEAST { None } else { take(length) };
    match spare {
        Some(mut values) => {
            values.resize(length, 0.0);
            Ok(values)
        }
        None => filled(length, 0.0),
    }
}

/// Returns the smallest list with room for that many numbers, unless it is far larger.
fn take(length: usize) -> Option<Vec<f32>> {
    SPARE.with_borrow_mut(|spare| {
        let fits = |values: &Vec<f32>| (length..=length * 4).contains(&values.capacity());
        let fitting = spare.iter().enumerate().filter(|(_, values)| fits(values));
        let index = fitting.min_by_key(|(_, values)| values.capacity())?.0;
        Some(spare.swap_remove(index))
    })
}

/// Keeps the memory of a tensor of floats, in place of the smallest one if there are enough.
pub(crate) fn keep(tensor: Tensor) {
    let Data::F32(values) = tensor.data else { return };
    if values.capacity() < LEAST {
        return;
    }
    SPARE.with_borrow_mut(|spare| {
        spare.push(values);
        if spare.len() > MOST {
            spare.sort_unstable_by_key(|values| std::cmp::Reverse(values.capacity()));
            spare.truncate(MOST);
        }
    });
}

/// Frees what is kept.
pub(crate) fn clear() {
    SPARE.take();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tensor;

    #[test]
    fn memory_that_fits_is_used_again() {
        clear();
        let kept = tensor(&[5000], &[7_f32; 5000]);
        let place = kept.values::<f32>().unwrap().as_ptr();
        keep(kept);
        let [large, small] = [6000, 10].map(|length| overwritten(length).unwrap());
        assert_ne!(large.as_ptr(), place, "it is too small");
        assert_ne!(small.as_ptr(), place, "it is far too large");

        let [values, other] = [4500, 4500].map(|length| overwritten(length).unwrap());
        assert_eq!((values.as_ptr(), values.len()), (place, 4500));
        assert_ne!(other.as_ptr(), place, "it is taken");
    }

    #[test]
    fn the_largest_are_kept() {
        clear();
        for length in [9000, 5000, 8000, 7000] {
            keep(tensor(&[length], &vec![1_f32; length]));
        }
        let kept: Vec<_> = SPARE.take().iter().map(Vec::capacity).collect();
        assert_eq!(kept, [9000, 8000, 7000]);
    }
}
