//! A byte that sets the limit of messages, and frames of a WebSocket client.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardian::fuzzing::websocket(bytes));
