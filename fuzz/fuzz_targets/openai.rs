//! A byte that chooses a model and a route, and a request of OpenAI's API.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardian::fuzzing::openai(bytes));
