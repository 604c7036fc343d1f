//! Decision trees: TreeEnsembleRegressor, TreeEnsembleClassifier and TreeEnsemble.

mod attributes;
mod classifier;
mod regressor;
mod tensors;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use wardian_sdk::Error;

use crate::trees::{Ensemble, Number};
use onnx_executor::kernel::Arguments;
use onnx_executor::operators::matrix::{dimensions, floats};
use onnx_executor::tensor::{ElementType, Tensor, allocate, collect, filled};

pub(super) use classifier::CLASSIFIER;
pub(super) use regressor::REGRESSOR;
pub(super) use tensors::ENSEMBLE;

/// A type in which thresholds are compared.
pub(super) trait Precision:
    Number + From<f32> + Into<f64> + std::ops::Div<Output = Self>
{
    /// Returns an input's numbers in this type.
    fn numbers(tensor: &Tensor) -> Result<Cow<'_, [Self]>, Error>;

    /// Returns an attribute's numbers in this type, if none of them changes by that.
    fn exactly(tensor: Tensor) -> Result<Vec<Self>, Error>;

    /// Returns the closest number in this type.
    fn closest(sum: f64) -> Self;

    /// Returns the closest number in float.
    fn narrow(self) -> f32;
}

impl Precision for f32 {
    fn numbers(tensor: &Tensor) -> Result<Cow<'_, [Self]>, Error> {
        floats(tensor)
    }

    fn exactly(tensor: Tensor) -> Result<Vec<Self>, Error> {
        tensor.into_values()
    }

    fn closest(sum: f64) -> Self {
        sum as f32
    }

    fn narrow(self) -> f32 {
        self
    }
}

impl Precision for f64 {
    fn numbers(tensor: &Tensor) -> Result<Cow<'_, [Self]>, Error> {
        tensor.values().map(Cow::Borrowed)
    }

    fn exactly(tensor: Tensor) -> Result<Vec<Self>, Error> {
        match tensor.element_type() {
            ElementType::F32 => {
                Ok(tensor.values::<f32>()?.iter().copied().map(Self::from).collect())
            }
            _ => tensor.into_values(),
        }
    }

    fn closest(sum: f64) -> Self {
        sum
    }

    fn narrow(self) -> f32 {
        self as f32
    }
}

/// The sums of the leaves, [rows, outputs], and the rows they are of.
struct Sums<'a, T: Clone> {
    rows: Cow<'a, [T]>,
    count: usize,
    sums: Vec<T>,
}

/// Adds the leaves of all trees for the rows of the first input. They are added in doubles, as
/// scikit-learn does: the sum of a forest's probabilities in floats may be above 1.
///
/// # Errors
/// Rejected if the rows are too short. The nodes do not say how long they are: columns after the
/// last one that a node asks for are left out.
fn sums<'a, T: Precision>(
    ensemble: &Ensemble<T>,
    arguments: &'a mut Arguments<'_>,
) -> Result<Sums<'a, T>, Error> {
    let features = ensemble.features();
    let (count, columns) = dimensions(arguments.get(0)?)?;
    if columns < features {
        let text = format!("rows of {columns} numbers where the model takes {features}");
        return Err(Error::rejected(text));
    }
    arguments.charge((count as u64).saturating_mul(ensemble.trees() as u64))?;
    let rows = T::numbers(arguments.get(0)?)?;
    let rows = if columns == features {
        rows
    } else {
        let mut used = allocate(count * features)?;
        rows.chunks(columns).for_each(|row| used.extend_from_slice(&row[..features]));
        Cow::Owned(used)
    };
    let mut sums = filled(count.saturating_mul(ensemble.outputs()), 0.0_f64)?;
    ensemble.add_to(&rows, &mut sums);
    let sums = collect(sums.into_iter().map(T::closest))?;
    Ok(Sums { rows, count, sums })
}
