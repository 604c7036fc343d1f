//! Products of matrices of float, whose constant right matrices are packed when the file is read.

mod known_matrix;

use wardian_sdk::kernels::{Activation, Bias, Matmul, MatmulData, Packing, Right, Strides};
use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::broadcast::Broadcast;
use onnx_executor::operators::matmul::Product;
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{ElementType, Shape, Tensor, filled, overwritten};

use super::fused;
use crate::kernels::{matmul, pack_matrix, size};
use known_matrix::KnownMatrix;

const FLOAT: &[ElementType] = &[ElementType::F32];

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::onnx("MatMul", 1, FLOAT, |node| {
        node.expect_all(1, ElementType::F32)?;
        product(node, 1.0)
    }),
    Operator::onnx("Gemm", 7, FLOAT, |node| {
        node.expect_all(1, ElementType::F32)?;
        gemm(node)
    }),
    Operator {
        domain: Domain::Microsoft,
        ..Operator::onnx("FusedMatMul", 1, FLOAT, |node| {
            node.expect_all(1, ElementType::F32)?;
            fused_product(node)
        })
    },
];

/// A right matrix that was packed when the file was read.
pub(super) struct PackedMatrix {
    pub(super) shape: Shape,
    values: Vec<f32>,
}

impl PackedMatrix {
    /// Packs a constant of two dimensions; `None` for other ones.
    ///
    /// # Errors
    /// Failed if there is not enough memory.
    pub(super) fn of(matrix: &Tensor, is_transposed: bool) -> Result<Option<Self>, Error> {
        let shape = *matrix.shape();
        let [rows, columns] = *shape else { return Ok(None) };
        if matrix.len() == 0 {
            return Ok(None);
        }
        let (inner, columns) = if is_transposed { (columns, rows) } else { (rows, columns) };
        let (inner, columns) = (size(inner)?, size(columns)?);
        let strides = match is_transposed {
            true => Strides::transposed(inner, columns),
            false => Strides::dense(inner, columns),
        };
        let values = pack_matrix(&Packing { inner, columns, strides }, matrix.values::<f32>()?)?;
        let shape = Shape::new(&[inner as usize, columns as usize])?;
        Ok(Some(Self { shape, values }))
    }
}

/// Packs a node's right input, if it is a constant matrix.
fn packed(node: &Node<'_>, is_transposed: bool) -> Result<Option<PackedMatrix>, Error> {
    let packed = node.constant(1).map(|matrix| PackedMatrix::of(matrix, is_transposed));
    Ok(packed.transpose()?.flatten())
}

/// The last steps of a product, done to its sums.
#[derive(Clone, Copy)]
pub(super) struct Last<'a> {
    /// Multiplies them.
    pub(super) scale: f32,
    /// One for each column, or none.
    pub(super) bias: &'a [f32],
    /// A matrix like the output that is added, or none.
    pub(super) residual: &'a [f32],
    /// Applied to the result.
    pub(super) activation: Activation,
}

impl<'a> Last<'a> {
    /// Biases alone.
    pub(super) fn biased(bias: &'a [f32]) -> Self {
        Last { scale: 1.0, bias, residual: &[], activation: Activation::None }
    }
}

/// Multiplies rows with a packed matrix.
///
/// # Errors
/// Rejected if the sizes do not fit each other.
pub(super) fn multiply_packed(
    left: &[f32],
    rows: usize,
    right: &PackedMatrix,
    last: Last<'_>,
) -> Result<Vec<f32>, Error> {
    let Last { scale, bias, residual, activation } = last;
    let [inner, columns] = [right.shape[0], right.shape[1]];
    let mut output = overwritten(Shape::new(&[rows, columns])?.elements())?;
    if rows == 0 {
        return Ok(output);
    }
    let operation = Matmul {
        scale,
        bias: if bias.is_empty() { Bias::None } else { Bias::Columns },
        residual: !residual.is_empty(),
        activation,
        ..Matmul::dense(size(rows)?, size(inner)?, size(columns)?)
    };
    let data = MatmulData { left, right: &right.values, bias, residual, output: &mut output };
    matmul(&operation, data)?;
    Ok(output)
}

/// Multiplies batches of matrices, which may be transposed.
///
/// # Errors
/// Rejected if the sizes do not fit each other.
pub(super) fn multiply(
    left: (&[f32], Strides),
    right: (&[f32], Strides),
    [batch, rows, inner, columns]: [usize; 4],
    scale: f32,
    output: &mut [f32],
) -> Result<(), Error> {
    if output.is_empty() {
        return Ok(());
    }
    if inner == 0 {
        output.fill(0.0);
        return Ok(());
    }
    let operation = Matmul {
        batch: size(batch)?,
        rows: size(rows)?,
        inner: size(inner)?,
        columns: size(columns)?,
        left: left.1,
        right: Right::Plain(right.1),
        scale,
        bias: Bias::None,
        residual: false,
        activation: Activation::None,
        output: Strides::dense(size(rows)?, size(columns)?),
    };
    matmul(
        &operation,
        MatmulData { left: left.0, right: right.0, bias: &[], residual: &[], output },
    )
}

fn product(node: &Node<'_>, scale: f32) -> Result<Kernel, Error> {
    match packed(node, false)? {
        Some(packed) => Ok(KnownMatrix::new(packed, scale).kernel()),
        None => Ok(scaled_product(scale)),
    }
}

/// A product of two matrices, which becomes one with a factor.
fn scaled_product(scale: f32) -> Kernel {
    let kernel = Kernel::new(ElementType::F32, move |arguments| {
        let plan = Product::new(arguments.get(0)?.shape(), arguments.get(1)?.shape())?;
        arguments.charge(plan.work())?;
        of_two(&plan, arguments.values::<f32>(0)?, arguments.values::<f32>(1)?, scale)
    });
    kernel.fusing(move |node, index| {
        let Some(factor) = fused::factor(node, index) else { return Ok(None) };
        Ok(Some(scaled_product(scale * factor)))
    })
}

fn of_two(plan: &Product, lefts: &[f32], rights: &[f32], scale: f32) -> Result<Tensor, Error> {
    let mut output = overwritten(plan.shape.elements())?;
    let [rows, inner, columns] = [plan.rows, plan.inner, plan.columns];
    let left_strides = Strides::dense(size(rows)?, size(inner)?);
    let right_strides = Strides::dense(size(inner)?, size(columns)?);
    let batch = plan.stack.elements();
    let is_plain = lefts.len() == batch * rows * inner && rights.len() == batch * inner * columns;
    if is_plain {
        let sizes = [batch, rows, inner, columns];
        multiply((lefts, left_strides), (rights, right_strides), sizes, scale, &mut output)?;
        return Tensor::new(plan.shape, output);
    }
    for (index, output) in output.chunks_exact_mut((rows * columns).max(1)).enumerate() {
        let [left, right] = plan.starts(index);
        let left = lefts.get(left..).or_failed("a matrix is missing")?;
        let right = rights.get(right..).or_failed("a matrix is missing")?;
        let sizes = [1, rows, inner, columns];
        multiply((left, left_strides), (right, right_strides), sizes, scale, output)?;
    }
    Tensor::new(plan.shape, output)
}

/// com.microsoft's product with transposed matrices and a factor.
fn fused_product(node: &Node<'_>) -> Result<Kernel, Error> {
    let transposes = [node.flag("transA", false), node.flag("transB", false)];
    if node.flag("transBatchA", false) || node.flag("transBatchB", false) {
        return Err(Error::failed("transposed batches are not served"));
    }
    let scale = node.float("alpha", 1.0);
    if !transposes[0] && !transposes[1] {
        return product(node, scale);
    }
    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let sides = [0, 1].map(|index| {
            let tensor = arguments.take(index)?;
            let rank = tensor.shape().len();
            if !transposes[index] || rank < 2 {
                return Ok(tensor);
            }
            let mut order: Vec<_> = (0..rank).collect();
            order.swap(rank - 1, rank - 2);
            tensor.transpose(&order)
        });
        let [left, right] = sides;
        let (left, right) = (left?, right?);
        let plan = Product::new(left.shape(), right.shape())?;
        arguments.charge(plan.work())?;
        of_two(&plan, left.values::<f32>()?, right.values::<f32>()?, scale)
    }))
}

fn gemm(node: &Node<'_>) -> Result<Kernel, Error> {
    let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
    let transposes = [node.flag("transA", false), node.flag("transB", false)];
    let packed = packed(node, transposes[1])?;
    let consumed = packed.is_some().then_some(1);
    let kernel = Kernel::new(ElementType::F32, move |arguments| {
        let left = arguments.get(0)?;
        let now;
        let left = match transposes[0] && left.shape().len() == 2 {
            true => {
                now = left.transpose(&[1, 0])?;
                &now
            }
            false => left,
        };
        let fresh;
        let right = match &packed {
            Some(packed) => Some(packed),
            None => {
                fresh = PackedMatrix::of(arguments.get(1)?, transposes[1])?;
                fresh.as_ref()
            }
        };
        let [rows, inner] = **left.shape() else {
            return Err(Error::rejected("it takes matrices of two dimensions"));
        };
        let Some(right) = right else {
            // A matrix without elements has no packed form.
            let [one, other] = **arguments.get(1)?.shape() else {
                return Err(Error::rejected("it takes matrices of two dimensions"));
            };
            let columns = if transposes[1] { one } else { other };
            let shape = Shape::new(&[rows, columns])?;
            return add(filled(shape.elements(), 0.0)?, shape, arguments, beta);
        };
        if inner != right.shape[0] {
            let columns = right.shape[0];
            return Err(Error::rejected(format_args!("rows of {inner} for columns of {columns}")));
        }
        let shape = Shape::new(&[rows, right.shape[1]])?;
        let is_row = |bias: &&Tensor| {
            beta == 1.0 && matches!(**bias.shape(), [columns] | [1, columns] if columns == shape[1])
        };
        let row = arguments.find(2).filter(is_row);
        let bias = row.map(|row| row.values::<f32>()).transpose()?;
        let last = Last { scale: alpha, ..Last::biased(bias.unwrap_or_default()) };
        let output = multiply_packed(left.values::<f32>()?, rows, right, last)?;
        let work = (shape.elements() as u64).saturating_mul(inner as u64);
        let is_done = bias.is_some();
        arguments.charge(work)?;
        if is_done { Tensor::new(shape, output) } else { add(output, shape, arguments, beta) }
    });
    Ok(kernel.consuming(consumed))
}

/// Adds biases of any shape.
fn add(
    output: Vec<f32>,
    shape: Shape,
    arguments: &Arguments<'_>,
    beta: f32,
) -> Result<Tensor, Error> {
    match arguments.find(2) {
        Some(bias) if beta != 0.0 => {
            let broadcast = Broadcast::new(&shape, bias.shape())?;
            let sums = broadcast.map(&output, bias.values::<f32>()?, |sum, b| sum + b * beta)?;
            Tensor::new(shape, sums)
        }
        _ => Tensor::new(shape, output),
    }
}
