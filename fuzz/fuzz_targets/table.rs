//! A byte that chooses a model, a route and a format, and a table as `POST …/predict` gets it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardian::fuzzing::table(bytes));
