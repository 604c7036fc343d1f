//! What a guest sends to its database.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wardian::fuzzing::sql(text));
