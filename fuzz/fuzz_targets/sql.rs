//! A statement of a guest for its database.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wardian::fuzzing::sql(text));
