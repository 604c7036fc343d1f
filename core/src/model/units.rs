//! Durations and sizes with units: `"60s"`, `"256MiB"`.

use std::time::Duration;

const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1000),
    ("MB", 1000 * 1000),
    ("GB", 1000 * 1000 * 1000),
    ("KB", 1000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];
const DURATION_UNITS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

/// Parses a size, in bytes. Fails with the expected form.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, &SIZE_UNITS).ok_or_else(|| {
        format!("'{}' is not a size like \"64kB\", \"256MiB\" or \"1GiB\"", quote(text))
    })
}

/// Parses a duration. Fails with the expected form.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    parse(text, &DURATION_UNITS).map(Duration::from_micros).ok_or_else(|| {
        format!("'{}' is not a duration like \"100ms\", \"60s\" or \"5m\"", quote(text))
    })
}

/// Formats a size for [`parse_size`], in the largest unit that divides it.
pub fn format_size(bytes: u64) -> String {
    format_in_units(bytes, &[SIZE_UNITS[0], SIZE_UNITS[5], SIZE_UNITS[6], SIZE_UNITS[7]])
}

/// Formats a duration for [`parse_duration`], with a resolution of microseconds.
pub fn format_duration(duration: Duration) -> String {
    format_in_units(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX), &DURATION_UNITS)
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start_matches(' ');
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;

    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn format_in_units(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, factor): &&(&str, u64)| value.is_multiple_of(*factor) && value >= *factor;
    match units.iter().rev().find(fits) {
        Some((name, factor)) => format!("{}{name}", value / factor),
        None => format!("0{}", units[0].0),
    }
}

/// Shortens an untrusted text in an error message.
fn quote(text: &str) -> String {
    super::sanitize(text, 40)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_take_decimal_and_binary_units() {
        for (text, bytes) in [
            ("0B", 0),
            ("64kB", 64_000),
            ("1 MiB", 1 << 20),
            ("256MiB", 256 << 20),
            ("1GiB", 1 << 30),
            ("2GB", 2_000_000_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }

        for text in ["", "1", "MiB", "-1B", "1.5GiB", "1 mib", "1MiBB", "99999999999TiB", "1\tB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_take_microseconds_to_days() {
        for (text, micros) in [
            ("0ms", 0),
            ("250us", 250),
            ("60s", 60_000_000),
            ("5m", 300_000_000),
            ("1h", 3_600_000_000),
            ("7d", 604_800_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }

        for text in ["", "60", "s", "1.5s", "1 day", "1s1ms", "99999999999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(value: u64) {
            prop_assert_eq!(parse_size(&format_size(value)), Ok(value));
            let duration = Duration::from_micros(value);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = (parse_size(&text), parse_duration(&text));
        }
    }
}
