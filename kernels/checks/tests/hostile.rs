//! Descriptions that do not fit, or make no sense, are errors.

use std::ops::ControlFlow;

use kernel_checks::stop_soon;
use proptest::prelude::*;
use wardian_kernels::{
    Activation, Bias, Conv2d, Conv2dData, Error, InstructionSet, IntegerData, IntegerMatmul,
    IntegerOutput, IntegerPacking, Matmul, MatmulData, Packing, Right, Strides,
};

/// A size or stride: small ones, which may fit, and those near the limits of the arithmetic.
fn sizes() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => 0..6_u32,
        1 => Just(u32::MAX),
        1 => Just(1 << 31),
        1 => Just(1 << 16),
        1 => any::<u32>(),
    ]
}

fn strides() -> impl Strategy<Value = Strides> {
    [sizes(), sizes(), sizes()].prop_map(|[batch, row, column]| Strides { batch, row, column })
}

/// A slice's length.
fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), 0..200_usize]
}

/// Strides of 0 make a product of 536,871,167 terms of one number.
#[test]
fn an_endless_description_of_the_fuzz_target_is_stopped() {
    let sizes = [0xff, 0xff, 1, 1, 0xff, 0xff, 0, 0, 0x20, 0x19, 0, 0, 0, 4, 0, 0, 0];
    kernel_checks::fuzzing::description(&sizes);
}

#[test]
fn pieces_with_few_multiplications_have_checkpoints() {
    let dots = Strides { batch: 0, row: 0, column: 0 };
    let operation = Matmul {
        left: dots,
        right: Right::Plain(dots),
        output: Strides { batch: 0, row: 1, column: 1 },
        ..Matmul::dense(1, 192_000, 1)
    };

    for set in InstructionSet::available() {
        let mut checkpoints = 0;
        let mut count = || {
            checkpoints += 1;
            ControlFlow::Continue(())
        };
        let mut output = [0.0];
        let data = MatmulData {
            left: &[1.0],
            right: &[1.0],
            bias: &[],
            residual: &[],
            output: &mut output,
        };
        assert_eq!(operation.run_with(set, data, 0, &mut count), Ok(None));
        // There are 1,000 pieces, which copy numbers for longer than they multiply.
        assert!(checkpoints >= 20, "{set}: {checkpoints}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn products_end_with_a_result_or_an_error(
        (batch, rows, inner, columns) in (sizes(), sizes(), sizes(), sizes()),
        (left, right, output) in (strides(), strides(), strides()),
        (packed, biases, residual) in (any::<bool>(), 0..3_usize, any::<bool>()),
        lengths in [lengths(), lengths(), lengths(), lengths(), lengths()],
        start in prop_oneof![Just(0_u64), any::<u64>()],
    ) {
        let operation = Matmul {
            batch, rows, inner, columns, left,
            right: if packed { Right::Packed } else { Right::Plain(right) },
            scale: 1.0,
            bias: [Bias::None, Bias::Columns, Bias::Rows][biases],
            residual,
            activation: Activation::Relu,
            output,
        };
        let [left, right, bias, residual, output] = lengths.map(|length| vec![1.0; length]);
        let mut output = output;
        let data = MatmulData {
            left: &left, right: &right, bias: &bias, residual: &residual, output: &mut output,
        };
        let _ = operation.run(data, start, &mut stop_soon());

        let packing = Packing { inner, columns, strides: operation.left };
        let _ = packing.run(&left, &mut output, start, &mut stop_soon());
    }

    #[test]
    fn integer_products_end_with_a_result_or_an_error(
        (rows, inner, columns, left_stride) in (sizes(), sizes(), sizes(), sizes()),
        (left_signed, left_zero, strides) in (any::<bool>(), any::<i32>(), strides()),
        lengths in [lengths(), lengths(), lengths(), lengths(), lengths()],
        (kind, zero, scale) in (0..3_usize, any::<i32>(), any::<f32>()),
        start in prop_oneof![Just(0_u64), any::<u64>()],
    ) {
        let activation = Activation::Gelu;
        let operation =
            IntegerMatmul { rows, inner, columns, left_stride, left_signed, left_zero, activation };
        let [left, right, zeros, biases, outputs] = lengths;
        let (left, right, zeros) = (vec![200; left], vec![100; right], vec![zero; zeros]);
        let (floats, scales) = (vec![1.0; biases], vec![scale; zeros.len()]);
        let (mut floats_out, mut sums, mut bytes) =
            (vec![0.0; outputs], vec![0; outputs], vec![0; outputs]);

        let output = match kind {
            0 => IntegerOutput::Int32(&mut sums),
            1 => IntegerOutput::Float {
                scale: &scales, bias: &floats, residual: &floats, output: &mut floats_out,
            },
            _ => IntegerOutput::Quantized {
                scale: &scales, bias: &zeros, zero, signed: left_signed, output: &mut bytes,
            },
        };
        let data = IntegerData { left: &left, right: &right, right_zero: &zeros, output };
        let _ = operation.run(data, start, &mut stop_soon());

        let packing = IntegerPacking { inner, columns, strides, signed: left_signed };
        let _ = packing.run(&left, &mut bytes, start, &mut stop_soon());
    }

    #[test]
    fn convolutions_end_with_a_result_or_an_error(
        (batch, input_channels, output_channels, groups) in (sizes(), sizes(), sizes(), sizes()),
        (input, kernel) in ([sizes(), sizes()], [sizes(), sizes()]),
        (strides, dilations) in ([sizes(), sizes()], [sizes(), sizes()]),
        pads in [sizes(), sizes(), sizes(), sizes()],
        (bias, residual) in (any::<bool>(), any::<bool>()),
        lengths in [lengths(), lengths(), lengths(), lengths(), lengths()],
        start in prop_oneof![Just(0_u64), any::<u64>()],
    ) {
        let operation = Conv2d {
            batch, input_channels, input, output_channels, kernel, strides, dilations, pads, groups,
            bias, residual, activation: Activation::None,
        };
        let [input, filters, bias, residual, output] = lengths.map(|length| vec![1.0; length]);
        let mut output = output;
        let data = Conv2dData {
            input: &input, filters: &filters, bias: &bias, residual: &residual, output: &mut output,
        };
        let _ = operation.run(data, start, &mut stop_soon());
        let _ = operation.pack(&filters, &mut output, start, &mut stop_soon());
    }
}

#[test]
fn the_initial_inputs_of_the_fuzz_target_are_valid_descriptions() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/kernels");
    for seed in std::fs::read_dir(seeds).unwrap() {
        kernel_checks::fuzzing::description(&std::fs::read(seed.unwrap().path()).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn all_instruction_sets_agree(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        kernel_checks::fuzzing::description(&bytes);
    }
}

fn run(operation: &Matmul, lengths: [usize; 5], start: u64) -> Result<Option<u64>, Error> {
    let [left, right, bias, residual, output] = lengths.map(|length| vec![1.0; length]);
    let mut output = output;
    let data = MatmulData {
        left: &left,
        right: &right,
        bias: &bias,
        residual: &residual,
        output: &mut output,
    };
    operation.run(data, start, &mut stop_soon())
}

#[test]
fn the_error_of_a_product_names_the_fault() {
    let valid = Matmul::dense(2, 3, 4);
    let lengths = [6, 48, 0, 0, 8];
    assert_eq!(run(&valid, lengths, 0), Ok(None));

    assert_eq!(
        run(&Matmul { rows: 0, ..valid }, lengths, 0),
        Err(Error::Zero("the number of rows"))
    );
    assert_eq!(
        run(&valid, [6, 47, 0, 0, 8], 0),
        Err(Error::Length { name: "the packed right", actual: 47, expected: 48 })
    );
    assert_eq!(
        run(&valid, [6, 48, 0, 0, 7], 0),
        Err(Error::Length { name: "the output", actual: 7, expected: 8 })
    );
    assert_eq!(
        run(&Matmul { bias: Bias::Columns, ..valid }, lengths, 0),
        Err(Error::Length { name: "the bias", actual: 0, expected: 4 })
    );

    let overlapping = Strides { batch: 0, row: 3, column: 1 };
    assert_eq!(
        run(&Matmul { output: overlapping, ..valid }, lengths, 0),
        Err(Error::OutputOverlaps)
    );
    assert!(matches!(run(&valid, lengths, 1), Err(Error::TooLarge(_))));

    let huge = Matmul::dense(u32::MAX, u32::MAX, u32::MAX);
    assert!(matches!(run(&huge, lengths, 0), Err(Error::Length { .. })));
    let everywhere = Strides { batch: u32::MAX, row: u32::MAX, column: u32::MAX };
    let huge = Matmul { batch: u32::MAX, left: everywhere, ..huge };
    assert_eq!(run(&huge, lengths, 0), Err(Error::TooLarge("left")));
}
