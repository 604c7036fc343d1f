//! An archive of a version, as it is uploaded.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardian::fuzzing::archive(bytes));
