//! The choice whether the rows of a table are stacked along the first dimension of the tensors.

use crate::model::{Metadata, TensorSpec};

/// The way in which a table fills the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Layout {
    /// Each row is one entry of the first dimension. The number is that of the rows.
    Rows(u64),
    /// The only row fills whole tensors.
    Whole,
}

/// True if the model takes rows along the first dimension: it takes batches, or every input and
/// some output has any number of entries there and only there.
pub(super) fn stacks_rows(metadata: &Metadata) -> bool {
    if metadata.max_batch_size > 0 {
        return true;
    }

    let fixed_rows = |spec: &TensorSpec| match spec.shape.split_first() {
        Some((-1, row)) => row.iter().all(|&dimension| dimension >= 0),
        _ => false,
    };

    !metadata.inputs.is_empty()
        && metadata.inputs.iter().all(fixed_rows)
        && metadata.outputs.iter().any(varies_by_row)
}

/// True if the first dimension of the tensor has any number of entries.
pub(in crate::api) fn varies_by_row(spec: &TensorSpec) -> bool {
    spec.shape.first() == Some(&-1)
}

/// True if one row may also be a list for a whole input: the model takes no batches, and every
/// input is a list of any length.
pub(super) fn takes_lists(metadata: &Metadata) -> bool {
    metadata.max_batch_size == 0 && metadata.inputs.iter().all(|spec| spec.shape == [-1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Datatype;

    fn metadata(inputs: &[&[i64]], outputs: &[&[i64]], max_batch_size: u32) -> Metadata {
        let spec = |(index, shape): (usize, &&[i64])| TensorSpec {
            name: index.to_string(),
            datatype: Datatype::Fp32,
            shape: shape.to_vec(),
            optional: false,
        };

        Metadata {
            inputs: inputs.iter().enumerate().map(spec).collect(),
            outputs: outputs.iter().enumerate().map(spec).collect(),
            max_batch_size,
            ..Metadata::default()
        }
    }

    #[test]
    fn rows_are_stacked_where_every_input_takes_them() {
        for (inputs, outputs, batch, stacks) in [
            (&[&[-1, 4][..]][..], &[&[-1][..]][..], 8, true),
            (&[&[-1, -1]], &[&[-1]], 8, true),
            (&[&[-1, 30], &[-1]], &[&[-1], &[1]], 0, true),
            (&[&[-1]], &[&[-1]], 0, true),
            // A list of any length, such as the features of a single row.
            (&[&[-1]], &[&[1]], 0, false),
            (&[&[-1, -1]], &[&[-1]], 0, false),
            (&[&[1]], &[&[-1]], 0, false),
            (&[], &[&[-1]], 0, false),
        ] {
            assert_eq!(stacks_rows(&metadata(inputs, outputs, batch)), stacks, "{inputs:?}");
        }
    }
}
