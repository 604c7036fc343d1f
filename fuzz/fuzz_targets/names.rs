//! A name: of a model, a tenant, a version, an entry of a repository.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wardian::fuzzing::names(text));
