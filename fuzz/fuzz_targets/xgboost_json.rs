//! A model that XGBoost saved, in JSON.

#![no_main]

use tabular::Format;

libfuzzer_sys::fuzz_target!(|file: &[u8]| tabular::fuzzing::model_file(
    file,
    &[Format::XgboostJson]
));
