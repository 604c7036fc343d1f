//! The metadata, correct or wrong as the script says.

use wardian_sdk::Metadata;

use crate::script::Script;

pub(crate) fn describe(script: &Script) -> Metadata {
    lie(truth(), script.word("lie"))
}

fn truth() -> Metadata {
    Metadata::new()
        .description("Does what it is told")
        .optional_input::<f64>("x", [-1])
        .optional_input::<String>("text", [-1])
        .output::<i64>("version", [1])
        .output::<i64>("copies", [256])
        .output::<i64>("calls", [1])
        .optional_output::<f64>("sum", [1])
        .optional_output::<String>("text", [-1])
        .optional_output::<bool>("flag", [1])
}

fn lie(metadata: Metadata, word: &str) -> Metadata {
    match word {
        "duplicate-input" => metadata.input::<f64>("x", [1]),
        "empty-name" => metadata.input::<f64>("", [1]),
        "huge-shape" => metadata.input::<f64>("huge", [i64::MAX, i64::MAX]),
        "negative-shape" => metadata.input::<f64>("negative", [-7]),
        "long-name" => metadata.input::<f64>(&"n".repeat(100_000), [1]),
        "many-inputs" => (0..100_000)
            .fold(metadata, |metadata, index| metadata.input::<f64>(&format!("x{index}"), [1])),
        "no-outputs" => Metadata { outputs: Vec::new(), ..metadata },
        _ => metadata,
    }
}
