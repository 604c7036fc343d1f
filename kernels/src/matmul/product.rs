//! A product of `f32` matrices in pieces.

use std::ops::Range;

use super::{Bias, Matmul, MatmulData, Right, pack_block};
use crate::error::{length, product};
use crate::scratch::{self, Scratch};
use crate::simd::{Area, Block, Finish, Left, PANEL, Part, Right as RightBlock, SharedOutput};
use crate::work::Work;
use crate::{Error, InstructionSet, Strides};

/// The most rows, columns and depth of a piece of work. The right block of a piece, 36 KiB, stays
/// in the first cache while the rows pass by.
const ROWS: usize = 128;
const COLUMNS: usize = 3 * PANEL;
const DEPTH: usize = 192;

/// A checked product. A unit is a block of the output, by batch, rows and columns; its steps go
/// along the depth.
pub(super) struct Product<'a> {
    operation: &'a Matmul,
    left: &'a [f32],
    right: &'a [f32],
    bias: &'a [f32],
    residual: &'a [f32],
    output: SharedOutput<'a, f32>,
    set: InstructionSet,
    rows: usize,
    inner: usize,
    columns: usize,
    /// The number of pieces along the rows, the columns and the depth.
    counts: [u64; 3],
    units: u64,
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

impl Piece {
    fn is_last(&self, inner: usize) -> bool {
        self.depth + self.depths == inner
    }
}

impl<'a> Product<'a> {
    pub(super) fn new(
        operation: &'a Matmul,
        data: MatmulData<'a>,
        set: InstructionSet,
    ) -> Result<Self, Error> {
        let MatmulData { left, right, bias, residual, output } = data;
        let rows = length(operation.rows.into(), "the number of rows")?;
        let inner = length(operation.inner.into(), "the inner size")?;
        let columns = length(operation.columns.into(), "the number of columns")?;

        let counts = [rows.div_ceil(ROWS), columns.div_ceil(COLUMNS), inner.div_ceil(DEPTH)]
            .map(|n| n as u64);
        let [row_pieces, column_pieces, depth_pieces] = counts;
        let batch = operation.batch.into();
        product(&[batch, row_pieces, column_pieces, depth_pieces], "the product")?;
        let units = product(&[batch, row_pieces, column_pieces], "the product")?;

        let output = SharedOutput::new(output);
        Ok(Product {
            operation,
            left,
            right,
            bias,
            residual,
            output,
            set,
            rows,
            inner,
            columns,
            counts,
            units,
        })
    }

    fn piece(&self, unit: u64, step: u64) -> Piece {
        let [row_pieces, column_pieces, _] = self.counts;
        let depth = step as usize * DEPTH;
        let column = (unit % column_pieces) as usize * COLUMNS;
        let rest = unit / column_pieces;
        let row = (rest % row_pieces) as usize * ROWS;

        Piece {
            batch: (rest / row_pieces) as usize,
            row,
            column,
            depth,
            rows: ROWS.min(self.rows - row),
            columns: COLUMNS.min(self.columns - column),
            depths: DEPTH.min(self.inner - depth),
        }
    }

    /// Borrows the output of a piece.
    fn output(&self, piece: &Piece) -> Part<'_, f32> {
        let [batch, row, _] = numbers(self.operation.output);
        let start = piece.batch * batch + piece.row * row + piece.column;
        self.output.borrow(Area { start, rows: piece.rows, columns: piece.columns, row })
    }

    fn finish(&self, piece: &Piece) -> Finish<'_> {
        let [batch, row, _] = numbers(self.operation.output);
        let start = piece.batch * batch + piece.row * row + piece.column;

        Finish {
            scale: self.operation.scale,
            first: piece.depth == 0,
            column_bias: match self.operation.bias {
                Bias::Columns => &self.bias[piece.column..],
                _ => &[],
            },
            row_bias: match self.operation.bias {
                Bias::Rows => &self.bias[piece.row..],
                _ => &[],
            },
            residual: if self.operation.residual { &self.residual[start..] } else { &[] },
            clamp: self.operation.activation.clamp().filter(|_| piece.is_last(self.inner)),
        }
    }

    fn run_piece(&self, piece: &Piece, scratch: &mut [f32]) {
        let mut output = self.output(piece);
        let block = Block {
            rows: piece.rows,
            columns: piece.columns,
            depth: piece.depths,
            left: self.left(piece),
            right: self.right(piece, scratch),
            finish: self.finish(piece),
        };
        block.run(self.set, &mut output);

        let activation = self.operation.activation;
        if piece.is_last(self.inner) && activation.is_curve() {
            (0..piece.rows).for_each(|row| activation.apply_with(self.set, output.row(row)));
        }
    }

    fn left(&self, piece: &Piece) -> Left<'a> {
        let [batch, row, column] = numbers(self.operation.left);
        let start = piece.batch * batch + piece.row * row + piece.depth * column;

        Left { values: &self.left[start..], row, panel: PANEL.saturating_mul(row), depth: column }
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
                RightBlock { values: &self.right[start..], panel, depth: PANEL }
            }
            Right::Plain(strides) => {
                let [batch, row, column] = numbers(strides);
                let start = piece.batch * batch + piece.depth * row + piece.column * column;
                pack_block(
                    &self.right[start..],
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

impl Work for Product<'_> {
    /// The right block, if it is packed on the fly.
    type Memory = Scratch<f32>;

    fn units(&self) -> u64 {
        self.units
    }

    fn steps(&self) -> u64 {
        self.counts[2]
    }

    fn batch(&self, _first: u64) -> u64 {
        1
    }

    fn most_multiplications(&self) -> u64 {
        (ROWS.min(self.rows) * COLUMNS.min(self.columns)) as u64 * self.inner as u64
    }

    fn can_be_shared(&self) -> bool {
        self.operation.output_is_a_grid()
    }

    fn memory(&self) -> Scratch<f32> {
        scratch::numbers(DEPTH * COLUMNS)
    }

    fn run(&self, units: Range<u64>, step: u64, scratch: &mut Scratch<f32>) -> u64 {
        let mut multiplications = 0;
        for unit in units {
            let piece = self.piece(unit, step);
            self.run_piece(&piece, scratch);
            multiplications += (piece.rows * piece.columns * piece.depths) as u64;
        }
        multiplications
    }
}

fn numbers(strides: Strides) -> [usize; 3] {
    [strides.batch as usize, strides.row as usize, strides.column as usize]
}
