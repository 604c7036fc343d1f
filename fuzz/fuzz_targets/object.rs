//! The name of an object in a store.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wardian::fuzzing::object(text));
