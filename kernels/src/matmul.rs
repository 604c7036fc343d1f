//! Products of `f32` matrices.

mod packing;
mod product;

pub use packing::Packing;
pub(crate) use packing::pack_block;

use crate::error::{at_least, exactly, positive};
use crate::layout::Shape;
use crate::team::Alone;
use crate::work::run_work;
use crate::{Activation, Checkpoint, Error, InstructionSet, Strides, Team};
use packing::packed_len;
use product::Product;

/// A product of matrices, or of a batch of them: the output is
/// `activation(scale * left * right + bias + residual)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matmul {
    /// Products.
    pub batch: u32,
    /// Rows of the left matrix and of the output.
    pub rows: u32,
    /// Columns of the left matrix and rows of the right one.
    pub inner: u32,
    /// Columns of the right matrix and of the output.
    pub columns: u32,
    /// The layout of the left matrix.
    pub left: Strides,
    /// The layout of the right matrix.
    pub right: Right,
    /// Multiplies the products.
    pub scale: f32,
    /// The biases.
    pub bias: Bias,
    /// A matrix, laid out as the output, is added before the activation.
    pub residual: bool,
    /// Applied last.
    pub activation: Activation,
    /// The layout of the output. Its columns are side by side, and its rows do not overlap.
    pub output: Strides,
}

/// The layout of a right matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Packed by a [`Packing`]; one matrix for the whole batch.
    Packed,
    /// Not packed.
    Plain(Strides),
}

/// The biases of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// There are none.
    None,
    /// One for each column.
    Columns,
    /// One for each row.
    Rows,
}

/// The slices of a [`Matmul`].
#[derive(Debug)]
pub struct MatmulData<'a> {
    /// The left matrices.
    pub left: &'a [f32],
    /// The right matrices, or the packed one, which has its exact length.
    pub right: &'a [f32],
    /// The biases, exactly as many as there are; else empty.
    pub bias: &'a [f32],
    /// The residual, or empty.
    pub residual: &'a [f32],
    /// The result. What it holds before makes no difference.
    pub output: &'a mut [f32],
}

impl Matmul {
    /// One product of dense matrices with a packed right one, and nothing else.
    pub const fn dense(rows: u32, inner: u32, columns: u32) -> Self {
        Matmul {
            batch: 1,
            rows,
            inner,
            columns,
            left: Strides::dense(rows, inner),
            right: Right::Packed,
            scale: 1.0,
            bias: Bias::None,
            residual: false,
            activation: Activation::None,
            output: Strides::dense(rows, columns),
        }
    }

    /// Computes from the position `start`, which is 0 at first, with the best instruction set.
    /// Returns the position at which to continue if the checkpoint broke; `None` at the end.
    ///
    /// # Errors
    /// If the description is not valid or does not fit the slices. Nothing is written then.
    pub fn run(
        &self,
        data: MatmulData<'_>,
        start: u64,
        checkpoint: Checkpoint<'_>,
    ) -> Result<Option<u64>, Error> {
        self.run_with(InstructionSet::best(), data, start, checkpoint)
    }

    /// [`Matmul::run`] with a given instruction set.
    ///
    /// # Errors
    /// As [`Matmul::run`].
    pub fn run_with(
        &self,
        set: InstructionSet,
        data: MatmulData<'_>,
        start: u64,
        checkpoint: Checkpoint<'_>,
    ) -> Result<Option<u64>, Error> {
        self.run_by(set, data, start, &mut Alone(checkpoint))
    }

    /// [`Matmul::run_with`] on the threads of a team.
    ///
    /// # Errors
    /// As [`Matmul::run`].
    pub fn run_by(
        &self,
        set: InstructionSet,
        data: MatmulData<'_>,
        start: u64,
        team: &mut dyn Team,
    ) -> Result<Option<u64>, Error> {
        self.check(&data)?;
        run_work(&Product::new(self, data, set)?, set, start, team)
    }

    /// True if every matrix of the output takes the same columns of rows of one length, so that
    /// parts of it can be told apart.
    fn output_is_a_grid(&self) -> bool {
        let Strides { batch, row, .. } = self.output;
        let behind = u64::from(self.batch - 1) * u64::from(batch) + u64::from(self.columns);
        self.batch == 1
            || self.rows == 1
            || batch.is_multiple_of(row.max(1))
            || behind <= u64::from(row)
    }

    fn check(&self, data: &MatmulData<'_>) -> Result<(), Error> {
        let batch = positive(self.batch, "the batch")?;
        let rows = positive(self.rows, "the number of rows")?;
        let inner = positive(self.inner, "the inner size")?;
        let columns = positive(self.columns, "the number of columns")?;
        let shape: Shape = [batch, rows, columns];

        at_least(data.left, self.left.extent([batch, rows, inner], "left")?, "left")?;
        match self.right {
            Right::Packed => exactly(data.right, packed_len(inner, columns)?, "the packed right")?,
            Right::Plain(strides) => {
                at_least(data.right, strides.extent([batch, inner, columns], "right")?, "right")?;
            }
        }

        let biases = match self.bias {
            Bias::None => 0,
            Bias::Columns => columns,
            Bias::Rows => rows,
        };
        exactly(data.bias, biases, "the bias")?;

        self.output.check_output(shape)?;
        let extent = self.output.extent(shape, "the output")?;
        at_least(data.output, extent, "the output")?;
        match self.residual {
            true => at_least(data.residual, extent, "the residual"),
            false => exactly(data.residual, 0, "the residual"),
        }
    }
}
