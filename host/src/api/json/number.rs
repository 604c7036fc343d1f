//! JSON numbers and their conversion to integers and floats.

/// A JSON number: its text and its scanned digits.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Number<'a> {
    /// The number as written.
    pub(in crate::api) text: &'a str,
    /// Digits before the exponent, without the point. Valid up to [`EXACT_DIGITS`] digits.
    mantissa: u64,
    digits: u32,
    fraction_digits: u32,
    negative: bool,
    exponent: bool,
}

/// Decimal digits that always fit a `u64`.
const EXACT_DIGITS: u32 = 19;
/// Integers up to these limits are exact in an `f64` and in an `f32`.
const EXACT_F64: u64 = 1 << 53;
const EXACT_F32: u64 = 1 << 24;
/// Powers of ten that are exact in an `f64` and in an `f32`.
const POWERS_F64: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
const POWERS_F32: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

impl<'a> Number<'a> {
    /// Scans the JSON number at the start of `text`; `None` if there is none.
    #[inline]
    pub(super) fn scan(text: &'a str) -> Option<Number<'a>> {
        let bytes = text.as_bytes();
        let negative = bytes.first() == Some(&b'-');
        let mut scan = Scan { bytes, at: usize::from(negative), mantissa: 0, digits: 0 };
        let first = scan.peek();
        let integer_digits = scan.take_digits();

        if integer_digits == 0 || (integer_digits > 1 && first == Some(b'0')) {
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

    /// True if the number has neither a fraction nor an exponent.
    pub(in crate::api) fn is_whole(&self) -> bool {
        self.fraction_digits == 0 && !self.exponent
    }

    /// Returns the value of an integer; `None` for other numbers and beyond 128 bits.
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

    /// Returns the value of a whole number, however it is written, such as `5.0` or `1e3`. Returns
    /// `None` for other numbers and beyond 128 bits.
    pub(in crate::api) fn whole_value(&self) -> Option<i128> {
        if self.is_whole() { self.integer() } else { whole_value(self.text) }
    }

    /// Returns the nearest `f64`; infinite if out of range.
    #[inline]
    pub(in crate::api) fn float64(&self) -> f64 {
        match POWERS_F64.get(self.fraction_digits as usize) {
            // Both operands are exact, so the single division rounds correctly (Clinger's fast
            // path).
            Some(power) if self.has_mantissa(EXACT_F64) => {
                let magnitude = self.mantissa as f64 / power;
                if self.negative { -magnitude } else { magnitude }
            }
            _ => self.text.parse().unwrap_or(f64::INFINITY),
        }
    }

    /// Returns the nearest `f32`; infinite if out of range.
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

    /// True if the mantissa contains all digits and is at most `max`.
    #[inline]
    fn has_mantissa(&self, max: u64) -> bool {
        !self.exponent && self.digits <= EXACT_DIGITS && self.mantissa <= max
    }
}

/// Returns the exact value of a decimal number with an optional sign, point and exponent; `None` if
/// it is not whole, malformed, or beyond 128 bits.
pub(in crate::api) fn whole_value(text: &str) -> Option<i128> {
    let (decimal, exponent) = match text.split_once(['e', 'E']) {
        Some((decimal, exponent)) => (decimal, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (sign, decimal) = match decimal.strip_prefix('-') {
        Some(magnitude) => (-1, magnitude),
        None => (1, decimal.strip_prefix('+').unwrap_or(decimal)),
    };
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let digits = format!("{whole}{fraction}");

    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }

    let significant = digits.trim_end_matches('0');
    let dropped = digits.len() - significant.len();
    if significant.is_empty() {
        return Some(0);
    }

    let scale = i64::from(exponent) + dropped as i64 - fraction.len() as i64;
    let power = 10i128.checked_pow(u32::try_from(scale).ok()?)?;
    significant.parse::<i128>().ok()?.checked_mul(power)?.checked_mul(sign)
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

    /// Consumes digits into the mantissa. Returns their number.
    #[inline]
    fn take_digits(&mut self) -> u32 {
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

        let digits = self.take_digits();
        (digits > 0).then_some(digits)
    }

    /// Consumes an optional exponent. Returns true if there is one, `None` if it is malformed.
    #[inline]
    fn exponent(&mut self) -> Option<bool> {
        if !matches!(self.peek(), Some(b'e' | b'E')) {
            return Some(false);
        }

        self.at += 1;
        if matches!(self.peek(), Some(b'+' | b'-')) {
            self.at += 1;
        }

        (self.take_digits() > 0).then_some(true)
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

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        for (text, value) in [
            ("5", 5),
            ("5.0", 5),
            ("-5.00", -5),
            ("+7", 7),
            ("1e3", 1000),
            ("1.25E2", 125),
            ("1250e-1", 125),
            ("0.0e5", 0),
            ("0e-99", 0),
            ("9223372036854775807.0", i64::MAX.into()),
        ] {
            assert_eq!(whole_value(text), Some(value), "{text}");
        }

        for text in [
            "",
            "-",
            ".",
            "e5",
            "5.5",
            "1e-1",
            "1.0000000000000000000001",
            "1e99",
            "1e",
            "x",
            "1e99999999999",
        ] {
            assert_eq!(whole_value(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whole_values_are_exact(value in any::<i64>(), zeros in 0usize..5) {
            prop_assert_eq!(whole_value(&format!("{value}.{}", "0".repeat(zeros))), Some(value.into()));
            prop_assert_eq!(whole_value(&format!("{value}{}e-{zeros}", "0".repeat(zeros))), Some(value.into()));
        }

        #[test]
        fn floats_round_like_the_standard_library(text in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,24})?(e-?[0-9]{1,3})?") {
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
