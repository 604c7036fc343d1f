//! TreeEnsembleRegressor.

use wardian_sdk::{Error, OrError};

use super::attributes::{self, Weights, numbers};
use super::{Precision, sums};
use crate::onnx::ml::post_transform::PostTransform;
use crate::trees::{Ensemble, Extreme};
use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{ElementType, collect, filled};
use onnx_executor::tensor::{Shape, Tensor};

pub(in crate::onnx::ml) const REGRESSOR: Operator = Operator {
    domain: Domain::Ml,
    name: "TreeEnsembleRegressor",
    versions: (1, Domain::NEWEST_ML),
    accepts: ElementType::COMMON_NUMBERS,
    build: |node| match node.input_type(0)? {
        ElementType::F64 => build::<f64>(node),
        _ => build::<f32>(node),
    },
};

/// The way in which the leaves of a row become its prediction.
#[derive(Clone, Copy)]
pub(super) enum Aggregate {
    Sum,
    Average,
    Extreme(Extreme),
}

/// Trees, and what follows them.
pub(super) struct Regression<T> {
    pub(super) ensemble: Ensemble<T>,
    pub(super) aggregate: Aggregate,
    /// One number for each output, or none.
    pub(super) base: Vec<T>,
    pub(super) transform: PostTransform,
}

fn build<T: Precision>(node: &Node<'_>) -> Result<Kernel, Error> {
    let targets = usize::try_from(node.integer("n_targets", 1)).or_failed("n_targets")?;
    let aggregate = match node.text("aggregate_function", "SUM")? {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        "MIN" => Aggregate::Extreme(Extreme::Lowest),
        "MAX" => Aggregate::Extreme(Extreme::Highest),
        other => {
            return Err(Error::failed(format_args!("the aggregate_function {other:?} is unknown")));
        }
    };
    let base = numbers::<T>(node, "base_values")?;
    if !base.is_empty() && base.len() != targets {
        let text = format!("{} base_values for {targets} targets", base.len());
        return Err(Error::failed(text));
    }
    let ensemble = attributes::read(node, Weights::read(node, "target")?, targets)?.build();
    let transform = PostTransform::read(node)?;
    let regression = Regression { ensemble, aggregate, base, transform };
    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let (rows, values) = regression.predict(arguments)?;
        let mut values = collect(values.into_iter().map(T::narrow))?;
        if regression.transform != PostTransform::None {
            values.chunks_mut(targets).for_each(|row| regression.transform.apply(row));
        }
        Tensor::new(Shape::new(&[rows, targets])?, values)
    }))
}

impl<T: Precision> Regression<T> {
    /// Returns the number of rows, and the aggregated leaves with the base added.
    pub(super) fn predict(&self, arguments: &mut Arguments<'_>) -> Result<(usize, Vec<T>), Error> {
        let mut sums = sums(&self.ensemble, arguments)?;
        match self.aggregate {
            Aggregate::Sum => {}
            Aggregate::Average => {
                let trees = T::from(self.ensemble.trees() as f32);
                sums.sums.iter_mut().for_each(|sum| *sum = *sum / trees);
            }
            Aggregate::Extreme(which) => {
                sums.sums = filled(sums.sums.len(), T::default())?;
                self.ensemble.extremes(which, &sums.rows, &mut sums.sums);
            }
        }
        if !self.base.is_empty() {
            for row in sums.sums.chunks_mut(self.base.len()) {
                row.iter_mut().zip(&self.base).for_each(|(sum, base)| *sum += *base);
            }
        }
        Ok((sums.count, sums.sums))
    }
}
