//! A model that LightGBM saved, in its text format.

#![no_main]

use tabular::Format;

libfuzzer_sys::fuzz_target!(|file: &[u8]| tabular::fuzzing::model_file(file, &[Format::Lightgbm]));
