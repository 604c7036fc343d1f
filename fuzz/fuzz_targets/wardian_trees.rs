//! A model that `wardian.save` wrote as `wardian-trees`.

#![no_main]

use tabular::Format;

libfuzzer_sys::fuzz_target!(|file: &[u8]| tabular::fuzzing::model_file(
    file,
    &[Format::WardianTrees]
));
