//! Adapts the shapes of inputs to the shapes of a model.
//!
//! Clients write a column as `[3]` or as `[3, 1]`. Both have the same elements in the same order.

use super::{InferRequest, Metadata, TensorSpec};

impl Metadata {
    /// Reshapes each input that differs from the model's shape only in trailing dimensions of 1.
    /// Other inputs stay unchanged.
    pub fn fit_shapes(&self, request: &mut InferRequest) {
        for tensor in &mut request.inputs {
            let spec = self.inputs.iter().find(|spec| spec.name == tensor.name);
            if let Some(shape) = spec.and_then(|spec| spec.refitted_shape(&tensor.shape)) {
                tensor.shape = shape;
            }
        }
    }
}

impl TensorSpec {
    /// True if a tensor may have this shape.
    pub fn accepts_shape(&self, shape: &[u64]) -> bool {
        self.shape.len() == shape.len() && matches_prefix(shape, &self.shape)
    }

    /// Returns the shape that makes a tensor fit; `None` if it fits already or cannot. Only
    /// dimensions that the model fixes at 1 are added: a dimension of variable size might have
    /// another meaning.
    fn refitted_shape(&self, shape: &[u64]) -> Option<Vec<u64>> {
        let (known, added) = self.shape.split_at_checked(shape.len()).unwrap_or((&self.shape, &[]));
        let (kept, dropped) = shape.split_at_checked(known.len())?;
        let differs = !added.is_empty() || !dropped.is_empty();
        let by_ones = added.iter().all(|&dimension| dimension == 1)
            && dropped.iter().all(|&dimension| dimension == 1);
        let fits = differs && by_ones && matches_prefix(kept, known);

        fits.then(|| kept.iter().copied().chain(added.iter().map(|_| 1)).collect())
    }
}

/// True if each dimension matches the specification, up to the shorter length.
fn matches_prefix(shape: &[u64], spec: &[i64]) -> bool {
    shape.iter().zip(spec).all(|(&have, &want)| want < 0 || want.unsigned_abs() == have)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Datatype, Tensor};

    fn spec(shape: &[i64]) -> TensorSpec {
        TensorSpec {
            name: "x".into(),
            datatype: Datatype::Uint8,
            shape: shape.into(),
            optional: false,
        }
    }

    #[test]
    fn only_trailing_dimensions_of_1_are_added_or_dropped() {
        for (want, have, fitted) in [
            (&[-1][..], &[3, 1][..], Some(vec![3])),
            (&[-1], &[3, 1, 1], Some(vec![3])),
            (&[-1, 1], &[3], Some(vec![3, 1])),
            (&[1], &[1, 1], Some(vec![1])),
            (&[1, 1], &[1], Some(vec![1, 1])),
            (&[], &[1], Some(vec![])),
            (&[1], &[], Some(vec![1])),
            (&[-1, 4], &[2, 4, 1], Some(vec![2, 4])),
            (&[-1], &[0, 1], Some(vec![0])),
            // Shapes that fit already.
            (&[-1], &[3], None),
            (&[-1, -1], &[3, 1], None),
            (&[], &[], None),
            // Shapes that may have another meaning.
            (&[-1], &[1, 3], None),
            (&[-1], &[3, 2], None),
            (&[-1, -1], &[3], None),
            (&[-1], &[], None),
            (&[2], &[3, 1], None),
            (&[-1, 4], &[4], None),
        ] {
            assert_eq!(spec(want).refitted_shape(have), fitted, "{want:?} {have:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_refitted_fits_and_holds_the_same_elements(
            want in prop::collection::vec(-1..4i64, 0..4),
            have in prop::collection::vec(0..4u64, 0..5),
        ) {
            let spec = spec(&want);
            let fitted = spec.refitted_shape(&have);

            prop_assert!(fitted.is_none() || !spec.accepts_shape(&have));

            let mut request = InferRequest::default();
            let data = vec![0; have.iter().product::<u64>() as usize];

            request.inputs.push(Tensor { name: "x".into(), datatype: Datatype::Uint8, shape: have.clone(), data });
            Metadata { inputs: vec![spec.clone()], ..Metadata::default() }.fit_shapes(&mut request);

            let after = &request.inputs[0];
            prop_assert_eq!(&after.shape, fitted.as_ref().unwrap_or(&have));
            prop_assert_eq!(after.check(), Ok(()));

            if let Some(fitted) = fitted {
                prop_assert!(spec.accepts_shape(&fitted));
                let (shorter, longer) = if fitted.len() < have.len() { (&fitted, &have) } else { (&have, &fitted) };
                prop_assert!(longer.starts_with(shorter) && longer[shorter.len()..].iter().all(|&dimension| dimension == 1));
            }
        }

        #[test]
        fn a_shape_that_fits_is_also_taken_as_a_column(have in prop::collection::vec(0..4u64, 0..4), ones in 1..3usize) {
            let want: Vec<i64> = have.iter().enumerate().map(|(index, &length)| if index == 0 { -1 } else { length as i64 }).collect();
            let longer: Vec<u64> = have.iter().copied().chain(std::iter::repeat_n(1, ones)).collect();
            prop_assert_eq!(spec(&want).refitted_shape(&longer), Some(have));
        }
    }
}
