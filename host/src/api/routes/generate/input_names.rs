//! Misspelt input names.
//!
//! A key that is not an input is a parameter, and the host does not know the parameters of a model.
//! Without this check, a misspelt optional input would go unnoticed.

use crate::api::json::shorten;
use crate::api::oip::parameters::{RawParameter, is_reserved};
use crate::model::{Metadata, Tensor, is_misspelt};

/// Fails with a text for the caller if a parameter's name resembles an input that is missing.
/// Parameters that the model's metadata declares are accepted.
pub(super) fn check(
    metadata: &Metadata,
    inputs: &[Tensor],
    parameters: &[RawParameter],
) -> Result<(), String> {
    let is_declared = |name: &str| metadata.properties.iter().any(|property| property.name == name);
    let unknown = parameters
        .iter()
        .filter(|parameter| !is_declared(&parameter.name) && !is_reserved(&parameter.name));

    let missing = || {
        metadata
            .inputs
            .iter()
            .filter(move |spec| !inputs.iter().any(|input| input.name == spec.name))
    };

    for RawParameter { name, .. } in unknown {
        if let Some(input) = missing().find(|spec| is_misspelt(name, &spec.name)) {
            let name = shorten(name);
            let inputs = names(metadata);
            return Err(format!(
                "'{name}' is not an input; did you mean '{}'? inputs are {inputs}",
                input.name
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
