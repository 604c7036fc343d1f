//! Calls as they should be. Their results are compared with plain loops.

use wardian_sdk::Error;
use wardian_sdk::kernels::{
    Activation, Bias, Conv2d, Conv2dData, IntegerData, IntegerMatmul, IntegerOutput,
    IntegerPacking, MatmulData, PackedMatrix, Softmax, Strides, conv2d as run_conv2d,
    integer_matmul as run_integer_matmul, matmul as run_matmul, pack_filters, pack_integer_matrix,
    softmax_rows,
};

const ROWS: usize = 37;
const INNER: usize = 301;
const COLUMNS: usize = 83;

/// Small integers, so that every order of additions gives the same sum.
fn ramp(count: usize) -> impl Iterator<Item = i8> {
    (0..count).map(|index| (index % 7) as i8 - 3)
}

fn numbers(count: usize) -> Vec<f32> {
    ramp(count).map(f32::from).collect()
}

pub(crate) fn weights() -> Result<PackedMatrix, Error> {
    PackedMatrix::new(&numbers(INNER * COLUMNS), INNER, COLUMNS)
}

fn outcome(outcome: Result<(), Error>, is_right: bool) -> String {
    match outcome {
        Ok(()) if is_right => "right".to_owned(),
        Ok(()) => "wrong".to_owned(),
        Err(error) => error.to_string(),
    }
}

pub(crate) fn matmul(weights: &PackedMatrix) -> String {
    let (left, bias, right) = (numbers(ROWS * INNER), numbers(COLUMNS), numbers(INNER * COLUMNS));
    let mut output = vec![f32::NAN; ROWS * COLUMNS];

    let mut operation = weights.product(ROWS as u32);
    operation.bias = Bias::Columns;
    operation.activation = Activation::Relu;
    let data = MatmulData {
        left: &left,
        right: weights.numbers(),
        bias: &bias,
        residual: &[],
        output: &mut output,
    };
    let done = run_matmul(&operation, data);

    let expected = |index: usize| {
        let (row, column) = (index / COLUMNS, index % COLUMNS);
        let products = (0..INNER).map(|k| left[row * INNER + k] * right[k * COLUMNS + column]);
        (products.sum::<f32>() + bias[column]).max(0.0)
    };
    let is_right = output.iter().enumerate().all(|(index, value)| *value == expected(index));
    outcome(done, is_right)
}

pub(crate) fn integer_matmul() -> String {
    let left: Vec<u8> = ramp(ROWS * INNER).map(|value| (value + 10) as u8).collect();
    let right: Vec<u8> = ramp(INNER * COLUMNS).map(i8::cast_unsigned).collect();
    let (inner, columns) = (INNER as u32, COLUMNS as u32);

    let packing =
        IntegerPacking { inner, columns, strides: Strides::dense(inner, columns), signed: true };
    let mut packed = vec![0; packing.packed_len().unwrap_or(0) as usize];
    if let Err(error) = pack_integer_matrix(&packing, &right, &mut packed) {
        return error.to_string();
    }

    let operation = IntegerMatmul {
        rows: ROWS as u32,
        inner,
        columns,
        left_stride: inner,
        left_signed: false,
        left_zero: 10,
        activation: Activation::None,
    };
    let mut sums = vec![0; ROWS * COLUMNS];
    let output = IntegerOutput::Int32(&mut sums);
    let data = IntegerData { left: &left, right: &packed, right_zero: &[], output };
    let done = run_integer_matmul(&operation, data);

    let expected = |index: usize| {
        let (row, column) = (index / COLUMNS, index % COLUMNS);
        let products = (0..INNER).map(|k| {
            let left = i32::from(left[row * INNER + k]) - 10;
            left * i32::from(right[k * COLUMNS + column].cast_signed())
        });
        products.sum::<i32>()
    };
    let is_right = sums.iter().enumerate().all(|(index, value)| *value == expected(index));
    outcome(done, is_right)
}

pub(crate) fn conv2d() -> String {
    const CHANNELS: usize = 5;
    const SIZE: usize = 12;
    let operation = Conv2d {
        batch: 1,
        input_channels: CHANNELS as u32,
        input: [SIZE as u32; 2],
        output_channels: CHANNELS as u32,
        kernel: [3, 3],
        strides: [1, 1],
        dilations: [1, 1],
        pads: [1; 4],
        groups: 1,
        bias: false,
        residual: false,
        activation: Activation::None,
    };

    let input = numbers(CHANNELS * SIZE * SIZE);
    let filters = numbers(CHANNELS * CHANNELS * 9);
    let mut packed = vec![0.0; operation.packed_len().unwrap_or(0) as usize];
    if let Err(error) = pack_filters(&operation, &filters, &mut packed) {
        return error.to_string();
    }

    let mut output = vec![f32::NAN; CHANNELS * SIZE * SIZE];
    let data = Conv2dData {
        input: &input,
        filters: &packed,
        bias: &[],
        residual: &[],
        output: &mut output,
    };
    let done = run_conv2d(&operation, data);

    let expected = |index: usize| {
        let (channel, y, x) = (index / SIZE / SIZE, index / SIZE % SIZE, index % SIZE);
        let mut sum = 0.0;
        for from in 0..CHANNELS {
            for ky in 0..3 {
                for kx in 0..3 {
                    let (iy, ix) = ((y + ky).wrapping_sub(1), (x + kx).wrapping_sub(1));
                    if iy < SIZE && ix < SIZE {
                        let weight = filters[((channel * CHANNELS + from) * 3 + ky) * 3 + kx];
                        sum += weight * input[(from * SIZE + iy) * SIZE + ix];
                    }
                }
            }
        }
        sum
    };
    let is_right = output.iter().enumerate().all(|(index, value)| *value == expected(index));
    outcome(done, is_right)
}

/// Equal numbers share 1, and the far smaller one gets nothing.
pub(crate) fn softmax() -> String {
    let mut values = [[3.0, 3.0, -300.0, 3.0, 3.0]; ROWS].concat();
    let done = softmax_rows(&Softmax { rows: ROWS as u32, columns: 5 }, &mut values);

    let expected = [0.25, 0.25, 0.0, 0.25, 0.25];
    let is_right = values.chunks_exact(5).all(|row| row == expected);
    outcome(done, is_right)
}
