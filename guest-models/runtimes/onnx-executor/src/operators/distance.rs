//! Distances between the rows of two matrices.

use wardian_sdk::{Error, OrError};

use super::number::Float;
use super::{Domain, Operator, for_types};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{ElementType, Shape, Tensor, allocate};

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[Operator {
    domain: Domain::Microsoft,
    name: "CDist",
    versions: (1, 1),
    accepts: ElementType::FLOATS,
    build: |node| {
        node.expect_all(1, node.input_type(0)?)?;
        for_types!(node.input_type(0)?, T in floats => distances::<T>(node))
    },
}];

fn distances<T: Float>(node: &Node<'_>) -> Result<Kernel, Error> {
    let takes_root = match node.text("metric", "sqeuclidean")? {
        "euclidean" => true,
        "sqeuclidean" => false,
        other => return Err(Error::failed(format_args!("the metric {other:?} is not served"))),
    };
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let shapes = (&**arguments.get(0)?.shape(), &**arguments.get(1)?.shape());
        let (&[rows, width], &[others, other_width]) = shapes else {
            return Err(Error::rejected("it takes two matrices"));
        };
        if width != other_width {
            return Err(Error::rejected(format_args!("rows of {width} and {other_width}")));
        }
        let shape = Shape::new(&[rows, others])?;
        arguments.charge((shape.elements() as u64).saturating_mul(width as u64))?;

        let (one, other) = (arguments.values::<T>(0)?, arguments.values::<T>(1)?);
        let mut results = allocate(shape.elements())?;
        for row in 0..rows {
            let row = one.get(row * width..(row + 1) * width).or_failed("a row is missing")?;
            for other_row in 0..others {
                let other = other.get(other_row * width..(other_row + 1) * width);
                let squares = row.iter().zip(other.unwrap_or_default()).map(|(one, other)| {
                    let difference = one.to_f64() - other.to_f64();
                    difference * difference
                });
                let sum: f64 = squares.sum();
                results.push(T::from_f64(if takes_root { sum.sqrt() } else { sum }));
            }
        }
        Tensor::new(shape, results)
    }))
}
