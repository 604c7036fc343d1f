//! Numbers as bytes, and bytes as numbers.

/// A number for which every pattern of bits is a value. Sealed.
pub trait Number: Copy + sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl sealed::Sealed for $number {}
        impl Number for $number {}
    )*};
}

numbers!(u8, i8, u32, i32, f32);

/// Returns the bytes of numbers, in the order of this machine.
pub fn as_bytes<T: Number>(numbers: &[T]) -> &[u8] {
    // SAFETY: a number has no padding, and bytes need no alignment.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

/// Returns bytes as numbers, in the order of this machine; `None` if they are not aligned or not a
/// whole number of them.
pub fn as_numbers<T: Number>(bytes: &[u8]) -> Option<&[T]> {
    // SAFETY: every pattern of bits is a number.
    match unsafe { bytes.align_to() } {
        ([], numbers, []) => Some(numbers),
        _ => None,
    }
}

/// Returns bytes as numbers that can be written; `None` as for [`as_numbers`].
pub fn as_numbers_mut<T: Number>(bytes: &mut [u8]) -> Option<&mut [T]> {
    // SAFETY: every pattern of bits is a number, and every number is a pattern of bits.
    match unsafe { bytes.align_to_mut() } {
        ([], numbers, []) => Some(numbers),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_bytes_and_numbers_again() {
        let numbers = [1.5_f32, -0.0, 1e-40];
        assert_eq!(as_numbers::<f32>(as_bytes(&numbers)), Some(&numbers[..]));
        assert_eq!(as_numbers::<i32>(&[]), Some(&[][..]));
    }

    #[test]
    fn bytes_that_are_no_numbers_are_refused() {
        let mut bytes = [0_u8; 16];
        let start = bytes.as_ptr().align_offset(4);
        let aligned = &mut bytes[start..start + 12];

        assert_eq!(as_numbers_mut::<i32>(aligned).map(|numbers| numbers.len()), Some(3));
        assert!(as_numbers_mut::<i32>(&mut aligned[1..9]).is_none());
        assert!(as_numbers::<i32>(&aligned[1..9]).is_none());
        assert!(as_numbers::<i32>(&aligned[..7]).is_none());
    }
}
