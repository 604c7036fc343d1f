//! A body with binary tensors behind the JSON, or instead of it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardian::fuzzing::infer_binary(bytes));
