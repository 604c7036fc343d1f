//! A body of JSON alone, as `POST …/infer` gets it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardian::fuzzing::infer_json(bytes));
