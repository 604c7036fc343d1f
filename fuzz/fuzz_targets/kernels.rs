//! The description of a product of matrices, of a convolution or of a softmax.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kernel_checks::fuzzing::description(bytes));
