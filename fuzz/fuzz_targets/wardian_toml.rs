//! A `wardian.toml`.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wardian::fuzzing::wardian_toml(text));
