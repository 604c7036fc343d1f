//! Products of `f32` matrices.

mod packing;

pub use packing::Packing;
pub(crate) use packing::pack_block;

use crate::error::{at_least, exactly, length, positive, product};
use crate::layout::Shape;
use crate::progress::run_pieces;
use crate::scratch::with_numbers;
use crate::simd::{Block, Finish, Left, PANEL, Right as RightBlock};
use crate::{Activation, Checkpoint, Error, InstructionSet, Strides};
use packing::packed_len;

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

/// The most rows, columns and depth of a piece of work. The right block of a piece, 36 KiB, stays
/// in the first cache while the rows pass by.
const ROWS: usize = 128;
const COLUMNS: usize = 3 * PANEL;
const DEPTH: usize = 192;

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
        self.check(&data)?;

        let mut work = Work::new(self, data, set)?;
        let pieces = work.pieces()?;

        with_numbers(DEPTH * COLUMNS, |scratch| {
            run_pieces(set, start, pieces, checkpoint, |piece| work.run(piece, scratch))
        })
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

/// A checked product, taken apart into pieces: by batch, rows, columns and depth, the depth first.
struct Work<'a> {
    operation: &'a Matmul,
    data: MatmulData<'a>,
    set: InstructionSet,
    rows: usize,
    inner: usize,
    columns: usize,
    /// The number of pieces along the rows, the columns and the depth.
    counts: [u64; 3],
}

/// A piece of work.
struct Piece {
    batch: usize,
    row: usize,
    column: usize,
    depth: usize,
    rows: usize,
    columns: usize,
    depths: usize,
}

impl<'a> Work<'a> {
    fn new(
        operation: &'a Matmul,
        data: MatmulData<'a>,
        set: InstructionSet,
    ) -> Result<Self, Error> {
        let rows = length(operation.rows.into(), "the number of rows")?;
        let inner = length(operation.inner.into(), "the inner size")?;
        let columns = length(operation.columns.into(), "the number of columns")?;
        let counts = [rows.div_ceil(ROWS), columns.div_ceil(COLUMNS), inner.div_ceil(DEPTH)]
            .map(|n| n as u64);

        Ok(Work { operation, data, set, rows, inner, columns, counts })
    }

    fn pieces(&self) -> Result<u64, Error> {
        let [rows, columns, depths] = self.counts;
        product(&[self.operation.batch.into(), rows, columns, depths], "the product")
    }

    fn piece(&self, piece: u64) -> Piece {
        let [row_pieces, column_pieces, depth_pieces] = self.counts;
        let depth = (piece % depth_pieces) as usize * DEPTH;
        let piece = piece / depth_pieces;
        let column = (piece % column_pieces) as usize * COLUMNS;
        let piece = piece / column_pieces;
        let row = (piece % row_pieces) as usize * ROWS;

        Piece {
            batch: (piece / row_pieces) as usize,
            row,
            column,
            depth,
            rows: ROWS.min(self.rows - row),
            columns: COLUMNS.min(self.columns - column),
            depths: DEPTH.min(self.inner - depth),
        }
    }

    /// Computes a piece. Returns its multiplications.
    fn run(&mut self, piece: u64, scratch: &mut [f32]) -> u64 {
        let piece = self.piece(piece);
        let last = piece.depth + piece.depths == self.inner;

        let left = self.left(&piece);
        let right = self.right(&piece, scratch);

        let Strides { batch, row, .. } = self.operation.output;
        let output_row = row as usize;
        let start = piece.batch * batch as usize + piece.row * output_row + piece.column;
        let bias = self.data.bias;
        let activation = self.operation.activation;

        let finish = Finish {
            scale: self.operation.scale,
            first: piece.depth == 0,
            column_bias: match self.operation.bias {
                Bias::Columns => &bias[piece.column..],
                _ => &[],
            },
            row_bias: match self.operation.bias {
                Bias::Rows => &bias[piece.row..],
                _ => &[],
            },
            residual: if self.operation.residual { &self.data.residual[start..] } else { &[] },
            clamp: activation.clamp().filter(|_| last),
        };

        let block = Block {
            rows: piece.rows,
            columns: piece.columns,
            depth: piece.depths,
            left,
            right,
            output: &mut self.data.output[start..],
            output_row,
            finish,
        };
        block.run(self.set);

        if last && activation.is_curve() {
            let output = &mut self.data.output[start..];
            for row in 0..piece.rows {
                let start = row * output_row;
                activation.apply_with(self.set, &mut output[start..start + piece.columns]);
            }
        }

        (piece.rows * piece.columns * piece.depths) as u64
    }

    fn left(&self, piece: &Piece) -> Left<'a> {
        let [batch, row, column] = numbers(self.operation.left);
        let start = piece.batch * batch + piece.row * row + piece.depth * column;

        Left {
            values: &self.data.left[start..],
            row,
            panel: PANEL.saturating_mul(row),
            depth: column,
        }
    }

    /// Returns the right block, packed into the scratch memory if it is not packed yet.
    fn right<'s>(&self, piece: &Piece, scratch: &'s mut [f32]) -> RightBlock<'s>
    where
        'a: 's,
    {
        match self.operation.right {
            Right::Packed => {
                let panel = self.inner * PANEL;
                let start = piece.column / PANEL * panel + piece.depth * PANEL;
                RightBlock { values: &self.data.right[start..], panel, depth: PANEL }
            }
            Right::Plain(strides) => {
                let [batch, row, column] = numbers(strides);
                let start = piece.batch * batch + piece.depth * row + piece.column * column;
                pack_block(
                    &self.data.right[start..],
                    [row, column],
                    piece.depths,
                    piece.columns,
                    scratch,
                    [PANEL, DEPTH * PANEL],
                );
                RightBlock { values: scratch, panel: DEPTH * PANEL, depth: PANEL }
            }
        }
    }
}

fn numbers(strides: Strides) -> [usize; 3] {
    [strides.batch as usize, strides.row as usize, strides.column as usize]
}
