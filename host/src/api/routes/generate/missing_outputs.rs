//! Outputs that a streamed response lacks.

use crate::model::{Datatype, InferResponse, Metadata, Tensor, TensorSpec};

/// Adds each required output that no part contained: an empty text, or a tensor without elements.
pub(super) fn add_missing_outputs(metadata: &Metadata, mut answer: InferResponse) -> InferResponse {
    let has = |name: &str| answer.outputs.iter().any(|output| output.name == name);

    let missing: Vec<_> = metadata
        .outputs
        .iter()
        .filter(|spec| !spec.optional && !has(&spec.name))
        .map(empty_tensor)
        .collect();

    answer.outputs.extend(missing);

    answer
}

fn empty_tensor(TensorSpec { name, datatype, .. }: &TensorSpec) -> Tensor {
    // A BYTES element starts with its length.
    let (shape, data) =
        if *datatype == Datatype::Bytes { (vec![1], vec![0; 4]) } else { (vec![0], Vec::new()) };
    Tensor { name: name.clone(), datatype: *datatype, shape, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_outputs_are_added() {
        let spec = |name: &str, datatype, optional| TensorSpec {
            name: name.into(),
            datatype,
            shape: vec![1],
            optional,
        };

        let outputs = vec![
            spec("text", Datatype::Bytes, false),
            spec("number", Datatype::Fp32, false),
            spec("summary", Datatype::Bytes, true),
        ];

        let metadata = Metadata { outputs, ..Metadata::default() };
        let empty = add_missing_outputs(&metadata, InferResponse::default());
        let names: Vec<_> = empty.outputs.iter().map(|output| output.name.as_str()).collect();

        assert_eq!(names, ["text", "number"]);
        assert!(empty.outputs.iter().all(|output| output.check().is_ok()));
        assert_eq!(add_missing_outputs(&metadata, empty.clone()), empty);
    }
}
