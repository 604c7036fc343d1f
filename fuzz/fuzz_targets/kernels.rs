//! The description of a product of matrices or of a convolution.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kernel_checks::fuzzing::description(bytes));
