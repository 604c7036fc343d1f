//! A byte that tells the size of the pieces that arrive, and the body of a call of gRPC.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardian::fuzzing::grpc(bytes));
