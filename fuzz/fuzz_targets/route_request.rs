//! A byte that chooses a route, and a request to it: path, query and body, separated by line ends.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardian::fuzzing::route_request(bytes));
