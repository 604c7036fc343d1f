//! Misspelt input names.
//!
//! A key that is not an input is a parameter, and the host does not know the parameters of a model.
//! Without this check, a misspelt optional input would go unnoticed.

use crate::api::infer::parameters::{RawParameter, is_reserved};
use crate::api::json::shorten;
use crate::model::{Metadata, Tensor};

/// Fails with a text for the caller if a parameter's name resembles an input that is missing.
/// Parameters that the model's metadata declares are accepted.
pub(super) fn check(
    metadata: &Metadata,
    inputs: &[Tensor],
    parameters: &[RawParameter],
) -> Result<(), String> {
    let is_known = |name: &str| metadata.properties.iter().any(|property| property.name == name);
    let unknown = parameters
        .iter()
        .filter(|parameter| !is_known(&parameter.name) && !is_reserved(&parameter.name));

    let left_out = || {
        metadata
            .inputs
            .iter()
            .filter(move |spec| !inputs.iter().any(|input| input.name == spec.name))
    };

    for RawParameter { name, .. } in unknown {
        if let Some(meant) = left_out().find(|spec| is_slip(name, &spec.name)) {
            let (name, inputs) = (shorten(name), names(metadata));
            return Err(format!(
                "'{name}' is no input; did you mean '{}'? inputs are {inputs}",
                meant.name
            ));
        }
    }

    Ok(())
}

/// Returns the names of the model's inputs for an error text.
pub(super) fn names(metadata: &Metadata) -> String {
    let names: Vec<_> = metadata.inputs.iter().map(|spec| format!("'{}'", spec.name)).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// Maximum length of compared names in bytes: the cost is quadratic.
const MAX_COMPARED: usize = 64;

/// True if the names differ only in case or by a few typing errors.
fn is_slip(name: &str, meant: &str) -> bool {
    if name.len() > MAX_COMPARED || meant.len() > MAX_COMPARED {
        return false;
    }

    let allowed = match meant.chars().count() {
        0..=3 => 0,
        4..=5 => 1,
        _ => 2,
    };

    strsim::osa_distance(&name.to_lowercase(), &meant.to_lowercase()) <= allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        for (name, meant) in [
            ("actoin", "action"),
            ("Text", "text"),
            ("text_inptu", "text_input"),
            ("tex", "text"),
            ("ID", "id"),
        ] {
            assert!(is_slip(name, meant), "{name} {meant}");
        }

        for (name, meant) in [
            ("ids", "id"),
            ("y", "x"),
            ("stop", "text"),
            ("seed", "text"),
            ("temperature", "action"),
        ] {
            assert!(!is_slip(name, meant), "{name} {meant}");
        }

        assert!(!is_slip(&"x".repeat(10_000), &"x".repeat(256)));
    }
}
