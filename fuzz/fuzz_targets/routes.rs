//! Paths of routes, one a line, and on the last line the path of a request.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wardian::fuzzing::routes(text));
