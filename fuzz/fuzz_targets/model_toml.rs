//! A `model.toml`.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wardian::fuzzing::model_toml(text));
