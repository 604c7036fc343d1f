//! Descriptions made of bytes.

use wardian_kernels::{
    Activation, Bias, Conv2d, Conv2dData, Error, InstructionSet, IntegerData, IntegerMatmul,
    IntegerOutput, IntegerPacking, Matmul, MatmulData, Packing, Right, Softmax, Strides,
};

use crate::stop_soon;

/// Reads sizes from bytes. Most are small, so that some descriptions are valid.
struct Sizes<'a>(&'a [u8]);

impl Sizes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 1 };
        self.0 = rest;
        *byte
    }

    fn size(&mut self) -> u32 {
        match self.byte() {
            255 => u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]),
            254 => u32::MAX,
            253 => 1 << 31,
            byte => u32::from(byte % 32),
        }
    }

    fn pair(&mut self) -> [u32; 2] {
        [self.size(), self.size()]
    }

    fn strides(&mut self) -> Strides {
        Strides { batch: self.size(), row: self.size(), column: self.size() }
    }

    /// A length, often the one that is needed.
    fn length(&mut self, needed: Result<u64, Error>) -> usize {
        match (self.byte(), needed) {
            (0..128, Ok(needed @ 0..4096)) => needed as usize,
            (byte, _) => usize::from(byte) * 4,
        }
    }
}

/// Runs an operation of that description with every instruction set.
///
/// # Panics
/// If they do not agree.
pub fn description(bytes: &[u8]) {
    let mut sizes = Sizes(bytes);
    match sizes.byte() % 4 {
        0 => matmul(&mut sizes),
        1 => integer_matmul(&mut sizes),
        2 => conv2d(&mut sizes),
        _ => softmax(&mut sizes),
    }
}

/// Asserts that all instruction sets have the same outcome, and outputs that differ by rounding.
/// The outputs are not compared if one has not come to the end, because the sets have their
/// checkpoints at other positions.
fn agree<T: Copy + Into<f64>>(
    mut run: impl FnMut(InstructionSet) -> (Result<Option<u64>, Error>, Vec<T>),
) {
    let (expected, expected_output) = run(InstructionSet::PORTABLE);
    for set in InstructionSet::available() {
        let (outcome, output) = run(set);
        if let (Ok(position), Ok(expected_position)) = (&outcome, &expected)
            && (position.is_some() || expected_position.is_some())
        {
            continue;
        }

        assert_eq!(outcome, expected, "{set}");

        for (actual, expected) in output.iter().zip(&expected_output) {
            let (actual, expected): (f64, f64) = ((*actual).into(), (*expected).into());
            let allowed = 1e-3 * expected.abs().max(1.0);
            assert!((actual - expected).abs() <= allowed, "{set}: {actual} {expected}");
        }
    }
}

fn matmul(sizes: &mut Sizes<'_>) {
    let flags = sizes.byte();
    let [batch, rows] = sizes.pair();
    let [inner, columns] = sizes.pair();
    let packing = Packing { inner, columns, strides: sizes.strides() };
    let operation = Matmul {
        batch,
        rows,
        inner,
        columns,
        left: sizes.strides(),
        right: if flags & 1 == 0 { Right::Packed } else { Right::Plain(packing.strides) },
        scale: 0.5,
        bias: [Bias::None, Bias::Columns, Bias::Rows][usize::from(flags >> 1) % 3],
        residual: flags & 16 != 0,
        activation: Activation::Relu,
        output: sizes.strides(),
    };

    let left = crate::random_floats(sizes.length(Ok(1024)), 1);
    let right = crate::random_floats(sizes.length(packing.packed_len()), 2);
    let biases = [0, u64::from(columns), u64::from(rows)][usize::from(flags >> 1) % 3];
    let bias = crate::random_floats(sizes.length(Ok(biases)), 3);
    let outputs = sizes.length(Ok(1024));
    let residual = crate::random_floats(if operation.residual { outputs } else { 0 }, 4);

    agree(|set| {
        let mut output = vec![0.0_f32; outputs];
        let data = MatmulData {
            left: &left,
            right: &right,
            bias: &bias,
            residual: &residual,
            output: &mut output,
        };
        (operation.run_with(set, data, 0, &mut stop_soon()), output)
    });

    let mut packed = vec![0.0; right.len()];
    let _ = packing.run(&left, &mut packed, u64::from(sizes.byte() % 4), &mut stop_soon());
}

fn integer_matmul(sizes: &mut Sizes<'_>) {
    let flags = sizes.byte();
    let [rows, inner] = sizes.pair();
    let [columns, left_stride] = sizes.pair();
    let operation = IntegerMatmul {
        rows,
        inner,
        columns,
        left_stride,
        left_signed: flags & 1 == 0,
        left_zero: i32::from_le_bytes([0, 0, sizes.byte(), sizes.byte()]) >> 16,
        activation: Activation::None,
    };
    let packing =
        IntegerPacking { inner, columns, strides: sizes.strides(), signed: flags & 2 == 0 };

    let left = crate::random_bytes(sizes.length(Ok(1024)), 1);
    let right = crate::random_bytes(sizes.length(packing.packed_len()), 2);
    let zeros = vec![i32::from(flags); usize::from(flags >> 2) % 3];
    let outputs = sizes.length(u64::from(rows).checked_mul(columns.into()).ok_or(Error::Zero("")));

    agree(|set| {
        let mut output = vec![0_i32; outputs];
        let data = IntegerData {
            left: &left,
            right: &right,
            right_zero: &zeros,
            output: IntegerOutput::Int32(&mut output),
        };
        (operation.run_with(set, data, 0, &mut stop_soon()), output)
    });

    let mut packed = vec![0; right.len()];
    let _ = packing.run(&left, &mut packed, 0, &mut stop_soon());
}

fn conv2d(sizes: &mut Sizes<'_>) {
    let flags = sizes.byte();
    let [batch, groups] = sizes.pair();
    let [input_channels, output_channels] = sizes.pair();
    let operation = Conv2d {
        batch,
        input_channels,
        input: sizes.pair(),
        output_channels,
        kernel: sizes.pair(),
        strides: sizes.pair(),
        dilations: sizes.pair(),
        pads: [sizes.size(), sizes.size(), sizes.size(), sizes.size()],
        groups,
        bias: flags & 1 == 0,
        residual: flags & 2 == 0,
        activation: Activation::None,
    };

    let images = |channels: u32, [height, width]: [u32; 2]| {
        let sizes = [batch, channels, height, width];
        let product =
            sizes.iter().try_fold(1_u64, |product, size| product.checked_mul((*size).into()));
        product.ok_or(Error::Zero(""))
    };
    let input = crate::random_floats(sizes.length(images(input_channels, operation.input)), 1);
    let filters = crate::random_floats(sizes.length(operation.packed_len()), 2);
    let biases = if operation.bias { output_channels.into() } else { 0 };
    let bias = crate::random_floats(sizes.length(Ok(biases)), 3);
    let output = operation.output_size().and_then(|size| images(output_channels, size));
    let outputs = sizes.length(output);
    let residual = crate::random_floats(if operation.residual { outputs } else { 0 }, 4);

    agree(|set| {
        let mut output = vec![0.0_f32; outputs];
        let data = Conv2dData {
            input: &input,
            filters: &filters,
            bias: &bias,
            residual: &residual,
            output: &mut output,
        };
        (operation.run_with(set, data, 0, &mut stop_soon()), output)
    });

    let mut packed = vec![0.0; filters.len()];
    let _ = operation.pack(&input, &mut packed, 0, &mut stop_soon());
}

fn softmax(sizes: &mut Sizes<'_>) {
    let operation = Softmax { rows: sizes.size(), columns: sizes.size() };
    let numbers = u64::from(operation.rows).checked_mul(operation.columns.into());
    let count = sizes.length(numbers.ok_or(Error::Zero("")));
    let values = crate::random_floats(count, 1);

    agree(|set| {
        let mut output = values.clone();
        (operation.run_with(set, &mut output, 0, &mut stop_soon()), output)
    });
}
