//! Products of matrices.

use std::borrow::Cow;
use std::sync::Arc;

use wardian_sdk::{Error, OrError};

use super::broadcast::{Broadcast, common_shape, steps};
use super::number::Number;
use super::{Operator, for_types};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{ElementType, Shape, Tensor, filled};

const TYPES: &[ElementType] = &[
    ElementType::F32,
    ElementType::F64,
    ElementType::I64,
    ElementType::I32,
    ElementType::U64,
    ElementType::U32,
];

macro_rules! for_products {
    ($element:expr, $T:ident => $body:expr) => {
        for_types!(
            $element, $T in [F32(f32), F64(f64), I64(i64), I32(i32), U64(u64), U32(u32)] => $body)
    };
}

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator::onnx("MatMul", 1, TYPES, |node| {
        node.expect_all(1, node.input_type(0)?)?;
        for_products!(node.input_type(0)?, T => matmul::<T>(node))
    }),
    Operator::onnx("Gemm", 7, TYPES, |node| {
        node.expect_all(1, node.input_type(0)?)?;
        for_products!(node.input_type(0)?, T => gemm::<T>(node))
    }),
];

/// Below this number of columns, the sums of a row are kept one by one.
const FEW_COLUMNS: usize = 4;

/// Adds the product of two matrices of [rows, inner] and [inner, columns] to a third.
fn multiply<T: Number>(one: &[T], other: &[T], result: &mut [T], inner: usize, columns: usize) {
    if inner == 0 || columns == 0 {
        return;
    }
    for (row, sums) in one.chunks_exact(inner).zip(result.chunks_exact_mut(columns)) {
        if columns < FEW_COLUMNS {
            for (factor, others) in row.iter().zip(other.chunks_exact(columns)) {
                let pairs = sums.iter_mut().zip(others);
                pairs.for_each(|(sum, other)| *sum = sum.plus(factor.times(*other)));
            }
            continue;
        }
        let (fours, rest) = row.as_chunks::<4>();
        let (blocks, tail) = other.split_at(fours.len() * 4 * columns);
        for ([a, b, c, d], block) in fours.iter().zip(blocks.chunks_exact(4 * columns)) {
            let (ab, cd) = block.split_at(2 * columns);
            let ((p, q), (r, s)) = (ab.split_at(columns), cd.split_at(columns));
            let others = p.iter().zip(q).zip(r.iter().zip(s));
            for (sum, ((p, q), (r, s))) in sums.iter_mut().zip(others) {
                let ab = sum.plus(a.times(*p)).plus(b.times(*q));
                *sum = ab.plus(c.times(*r)).plus(d.times(*s));
            }
        }
        for (factor, others) in rest.iter().zip(tail.chunks_exact(columns)) {
            let pairs = sums.iter_mut().zip(others);
            pairs.for_each(|(sum, other)| *sum = sum.plus(factor.times(*other)));
        }
    }
}

fn matmul<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(0)?, |arguments| {
        let plan = Product::new(arguments.get(0)?.shape(), arguments.get(1)?.shape())?;
        arguments.charge(plan.work())?;
        let (one, other) = (arguments.values::<T>(0)?, arguments.values::<T>(1)?);
        let mut results = filled(plan.shape.elements(), T::ZERO)?;
        let size = plan.rows * plan.columns;
        for (batch, result) in results.chunks_exact_mut(size.max(1)).enumerate() {
            let [one_start, other_start] = plan.starts(batch);
            let one = one.get(one_start..one_start + plan.rows * plan.inner);
            let other = other.get(other_start..other_start + plan.inner * plan.columns);
            let (one, other) = one.zip(other).or_failed("a matrix is missing")?;
            multiply(one, other, result, plan.inner, plan.columns);
        }
        Tensor::new(plan.shape, results)
    }))
}

/// The extents of a product of matrices, or of stacks of them.
pub struct Product {
    /// Rows of the first matrix.
    pub rows: usize,
    /// Columns of the first matrix and rows of the second one.
    pub inner: usize,
    /// Columns of the second matrix.
    pub columns: usize,
    /// The stacks in common.
    pub stack: Shape,
    /// Matrices between neighbours of the stacks.
    steps: [Vec<usize>; 2],
    /// The shape of the result.
    pub shape: Shape,
}

impl Product {
    /// Plans the product of tensors of these shapes.
    ///
    /// # Errors
    /// Rejected if they do not fit each other.
    pub fn new(one: &Shape, other: &Shape) -> Result<Self, Error> {
        let (one_stack, rows, inner) = match **one {
            [] => return Err(Error::rejected("it takes no scalar")),
            [inner] => (&[] as &[usize], None, inner),
            [ref stack @ .., rows, inner] => (stack, Some(rows), inner),
        };
        let (other_stack, other_inner, columns) = match **other {
            [] => return Err(Error::rejected("it takes no scalar")),
            [inner] => (&[] as &[usize], inner, None),
            [ref stack @ .., inner, columns] => (stack, inner, Some(columns)),
        };
        if inner != other_inner {
            let text = format!("matrices of {one:?} and {other:?} do not fit each other");
            return Err(Error::rejected(text));
        }
        let (one_stack, other_stack) = (Shape::new(one_stack)?, Shape::new(other_stack)?);
        let stack = common_shape(&one_stack, &other_stack)?;
        let extents: Vec<_> = stack.iter().copied().chain(rows).chain(columns).collect();
        Ok(Self {
            rows: rows.unwrap_or(1),
            inner,
            columns: columns.unwrap_or(1),
            steps: [&one_stack, &other_stack].map(|own| steps(own, &stack)),
            shape: Shape::new(&extents)?,
            stack,
        })
    }

    /// Returns the multiplications.
    pub fn work(&self) -> u64 {
        (self.shape.elements() as u64).saturating_mul(self.inner as u64)
    }

    /// Returns the first elements of both matrices of a product in the stack.
    pub fn starts(&self, mut batch: usize) -> [usize; 2] {
        let mut matrices = [0, 0];
        for axis in (0..self.stack.len()).rev() {
            let index = batch % self.stack[axis];
            batch /= self.stack[axis];
            matrices[0] += index * self.steps[0][axis];
            matrices[1] += index * self.steps[1][axis];
        }
        [matrices[0] * self.rows * self.inner, matrices[1] * self.inner * self.columns]
    }
}

fn gemm<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
    let (alpha, beta) = (T::from_f64(alpha.into()), T::from_f64(beta.into()));
    let transposes = [node.flag("transA", false), node.flag("transB", false)];
    // Constant weights are transposed once.
    let weights = match node.constant(1) {
        Some(weights) if transposes[1] => Some(Arc::new(matrix(weights, true)?.into_owned())),
        _ => None,
    };
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let [rows, inner] = extents(arguments.get(0)?, transposes[0])?;
        let [other_inner, columns] = extents(arguments.get(1)?, transposes[1])?;
        if inner != other_inner {
            return Err(Error::rejected(format_args!(
                "rows of {inner} for columns of {other_inner}"
            )));
        }
        let shape = Shape::new(&[rows, columns])?;
        arguments.charge((shape.elements() as u64).saturating_mul(inner as u64))?;

        let one = matrix(arguments.get(0)?, transposes[0])?;
        let other = match &weights {
            Some(weights) => Cow::Borrowed(&**weights),
            None => matrix(arguments.get(1)?, transposes[1])?,
        };
        let mut results = filled(shape.elements(), T::ZERO)?;
        multiply(one.values::<T>()?, other.values::<T>()?, &mut results, inner, columns);
        if alpha != T::ONE {
            results.iter_mut().for_each(|result| *result = result.times(alpha));
        }
        match arguments.find(2) {
            Some(bias) if beta != T::ZERO => {
                let broadcast = Broadcast::new(&shape, bias.shape())?;
                let add = |sum: &T, bias: &T| sum.plus(bias.times(beta));
                let results = broadcast.map(&results, bias.values::<T>()?, add)?;
                Tensor::new(shape, results)
            }
            _ => Tensor::new(shape, results),
        }
    }))
}

fn extents(matrix: &Tensor, is_transposed: bool) -> Result<[usize; 2], Error> {
    match **matrix.shape() {
        [rows, columns] if is_transposed => Ok([columns, rows]),
        [rows, columns] => Ok([rows, columns]),
        _ => Err(Error::rejected("it takes matrices of two dimensions")),
    }
}

fn matrix(tensor: &Tensor, is_transposed: bool) -> Result<Cow<'_, Tensor>, Error> {
    if !is_transposed || tensor.shape().len() != 2 {
        return Ok(Cow::Borrowed(tensor));
    }
    Ok(Cow::Owned(tensor.transpose(&[1, 0])?))
}
