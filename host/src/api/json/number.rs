//! A number as it stands in JSON, and what it is as an integer or a float.

/// A number's text with what reading it brought to light.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Number<'a> {
    /// As it was written.
    pub(in crate::api) text: &'a str,
    /// Its digits before any exponent, without the point; meaningful up to [`EXACT_DIGITS`] of
    /// them.
    mantissa: u64,
    digits: u32,
    fraction_digits: u32,
    negative: bool,
    exponent: bool,
}

/// So many decimal digits always fit a `u64`.
const EXACT_DIGITS: u32 = 19;
/// The whole numbers up to here are exact in an `f64`, and in an `f32`.
const EXACT_F64: u64 = 1 << 53;
const EXACT_F32: u64 = 1 << 24;
/// The powers of ten that are exact in an `f64`, and in an `f32`.
const POWERS_F64: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
const POWERS_F32: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

impl<'a> Number<'a> {
    /// Reads the number that `text` starts with, as JSON spells it; `None` if it does not start
    /// with one.
    #[inline]
    pub(super) fn scan(text: &'a str) -> Option<Number<'a>> {
        let bytes = text.as_bytes();
        let negative = bytes.first() == Some(&b'-');
        let mut scan = Scan { bytes, at: usize::from(negative), mantissa: 0, digits: 0 };
        let first = scan.peek();
        let whole = scan.run();
        if whole == 0 || (whole > 1 && first == Some(b'0')) {
            return None;
        }
        let fraction_digits = scan.fraction()?;
        let (mantissa, digits) = (scan.mantissa, scan.digits);
        let exponent = scan.exponent()?;
        Some(Number {
            text: text.get(..scan.at)?,
            mantissa,
            digits,
            fraction_digits,
            negative,
            exponent,
        })
    }

    /// Whether it is written without point or exponent.
    pub(in crate::api) fn is_whole(&self) -> bool {
        self.fraction_digits == 0 && !self.exponent
    }

    /// The value of a whole number, `None` for others and for those beyond all 64-bit integers.
    #[inline]
    pub(in crate::api) fn integer(&self) -> Option<i128> {
        if !self.is_whole() {
            return None;
        }
        if self.digits > EXACT_DIGITS {
            return self.text.parse().ok();
        }
        let magnitude = i128::from(self.mantissa);
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// The nearest `f64`; infinite if it is out of range.
    #[inline]
    pub(in crate::api) fn float64(&self) -> f64 {
        match POWERS_F64.get(self.fraction_digits as usize) {
            // Both are exact, so the one division rounds correctly (Clinger's fast path).
            Some(power) if self.has_mantissa(EXACT_F64) => {
                let magnitude = self.mantissa as f64 / power;
                if self.negative { -magnitude } else { magnitude }
            }
            _ => self.text.parse().unwrap_or(f64::INFINITY),
        }
    }

    /// The nearest `f32`; infinite if it is out of range.
    #[inline]
    pub(in crate::api) fn float32(&self) -> f32 {
        match POWERS_F32.get(self.fraction_digits as usize) {
            Some(power) if self.has_mantissa(EXACT_F32) => {
                let magnitude = self.mantissa as f32 / power;
                if self.negative { -magnitude } else { magnitude }
            }
            _ => self.text.parse().unwrap_or(f32::INFINITY),
        }
    }

    /// Whether the digits are all in the mantissa and no more than `most`.
    #[inline]
    fn has_mantissa(&self, most: u64) -> bool {
        !self.exponent && self.digits <= EXACT_DIGITS && self.mantissa <= most
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    mantissa: u64,
    digits: u32,
}

impl Scan<'_> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Takes a run of digits into the mantissa; tells how many.
    #[inline]
    fn run(&mut self) -> u32 {
        let before = self.digits;
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            self.mantissa = self.mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            self.digits = self.digits.saturating_add(1);
            self.at += 1;
        }
        self.digits - before
    }

    #[inline]
    fn fraction(&mut self) -> Option<u32> {
        if self.peek() != Some(b'.') {
            return Some(0);
        }
        self.at += 1;
        let digits = self.run();
        (digits > 0).then_some(digits)
    }

    /// Takes an exponent if there is one; tells whether there was.
    #[inline]
    fn exponent(&mut self) -> Option<bool> {
        if !matches!(self.peek(), Some(b'e' | b'E')) {
            return Some(false);
        }
        self.at += 1;
        if matches!(self.peek(), Some(b'+' | b'-')) {
            self.at += 1;
        }
        (self.run() > 0).then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_json_numbers_are_numbers() {
        for text in ["0", "-0", "10", "1.5", "1e5", "1E+5", "-1.25e-3", "0.0"] {
            assert_eq!(Number::scan(text).map(|number| number.text), Some(text));
        }
        for text in
            ["", "-", "+1", "01", "1.", ".5", "1e", "1e+", "NaN", "Infinity", "-Infinity", "x"]
        {
            assert!(Number::scan(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn floats_are_rounded_as_the_standard_library_does(text in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,24})?(e-?[0-9]{1,3})?") {
            let number = Number::scan(&text).unwrap();
            prop_assert_eq!(number.text, text.as_str());
            prop_assert_eq!(number.float64().to_bits(), text.parse::<f64>().unwrap().to_bits());
            prop_assert_eq!(number.float32().to_bits(), text.parse::<f32>().unwrap().to_bits());
        }

        #[test]
        fn integers_are_exact(value in any::<i128>(), small in any::<u64>()) {
            for value in [value, small.into(), -i128::from(small)] {
                let text = value.to_string();
                prop_assert_eq!(Number::scan(&text).unwrap().integer(), Some(value));
            }
        }
    }
}
