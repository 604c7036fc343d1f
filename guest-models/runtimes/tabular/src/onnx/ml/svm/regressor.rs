//! SVMRegressor.

use wardian_sdk::{Error, OrError};

use super::kernel::{Vectors, only_rho, weighted};
use crate::onnx::ml::linear::dot;
use crate::onnx::ml::post_transform::PostTransform;
use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::matrix::{floats, rows_of};
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{ElementType, Shape, Tensor, allocate};

pub(in crate::onnx::ml) const REGRESSOR: Operator = Operator {
    domain: Domain::Ml,
    name: "SVMRegressor",
    versions: (1, Domain::NEWEST_ML),
    accepts: ElementType::COMMON_NUMBERS,
    build: regressor,
};

/// The sum over the support vectors, or over the features where there are none.
enum Sum {
    OfVectors(Vectors),
    OfFeatures,
}

fn regressor(node: &Node<'_>) -> Result<Kernel, Error> {
    let count = usize::try_from(node.integer("n_supports", 0)).or_failed("n_supports")?;
    let coefficients = node.floats("coefficients").to_vec();
    let rho = only_rho(node)?;
    let is_one_class = node.flag("one_class", false);
    let transform = PostTransform::read(node)?;
    let (sum, features) = match count {
        0 => {
            if node.text("kernel_type", "LINEAR")? != "LINEAR" {
                return Err(Error::failed("it has no support vectors"));
            }
            let _ = (node.floats("kernel_params"), node.floats("support_vectors"));
            (Sum::OfFeatures, coefficients.len())
        }
        _ => {
            let vectors = Vectors::read(node, count)?;
            let features = vectors.features;
            (Sum::OfVectors(vectors), features)
        }
    };
    if coefficients.is_empty() || (count > 0 && coefficients.len() != count) {
        let text = format!("{} coefficients for {count} support vectors", coefficients.len());
        return Err(Error::failed(text));
    }

    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let rows = rows_of(arguments.get(0)?, features)?;
        if let Sum::OfVectors(vectors) = &sum {
            arguments.charge(vectors.work().saturating_mul(rows as u64))?;
        }
        let mut similarities = Vec::new();
        let mut predictions = allocate(rows)?;
        for row in floats(arguments.get(0)?)?.chunks_exact(features) {
            let sum = match &sum {
                Sum::OfFeatures => dot(row, &coefficients),
                Sum::OfVectors(vectors) => {
                    vectors.compare(row, &mut similarities);
                    weighted(&coefficients, &similarities)
                }
            };
            let mut score = [(f64::from(rho) + sum) as f32];
            if is_one_class {
                score = [if score[0] > 0.0 { 1.0 } else { -1.0 }];
            } else {
                transform.apply(&mut score);
            }
            predictions.extend(score);
        }
        Tensor::new(Shape::new(&[rows, 1])?, predictions)
    }))
}
