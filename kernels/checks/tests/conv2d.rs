//! Convolutions on every instruction set, against `f64`.

use kernel_checks::threads::Threads;
use kernel_checks::{conv2d, random_floats};
use proptest::prelude::*;
use wardian_kernels::{Activation, Conv2d, Conv2dData, InstructionSet, run_to_end};

fn cases() -> impl Strategy<Value = (Conv2d, u64)> {
    let channels = prop_oneof![
        // Groups, inputs and outputs of each.
        (Just(1_u32), 1..40_u32, 1..40_u32),
        (1..3_u32, 1..12_u32, 48..120_u32),
        (2..5_u32, 1..6_u32, 1..20_u32),
        (2..20_u32, Just(1), 1..3_u32),
        (Just(1), Just(1), 1..3_u32),
    ];
    let kernel = (1..6_u32, 1..6_u32);
    let geometry =
        (kernel, (1..4_u32, 1..4_u32), (1..3_u32, 1..3_u32), [0..4_u32, 0..4, 0..4, 0..4]);
    let image = (1..3_u32, 1..24_u32, 1..24_u32);
    let more = (any::<bool>(), any::<bool>(), 0..3_usize, any::<u64>());

    (channels, geometry, image, more)
        .prop_map(|(channels, geometry, image, (bias, residual, activation, seed))| {
            let (groups, inputs, outputs) = channels;
            let ((kernel_height, kernel_width), strides, dilations, pads) = geometry;
            let (batch, height, width) = image;
            let operation = Conv2d {
                batch,
                input_channels: groups * inputs,
                input: [height, width],
                output_channels: groups * outputs,
                kernel: [kernel_height, kernel_width],
                strides: strides.into(),
                dilations: dilations.into(),
                pads,
                groups,
                bias,
                residual,
                activation: [Activation::None, Activation::Relu, Activation::Silu][activation],
            };
            (operation, seed)
        })
        .prop_filter("the filters fit", |(operation, _)| operation.output_size().is_ok())
}

fn check(operation: &Conv2d, seed: u64, sets: impl Iterator<Item = InstructionSet>) {
    let [height, width] = operation.output_size().unwrap_or_default();
    let images = operation.batch * operation.input_channels;
    let input = random_floats((images * operation.input[0] * operation.input[1]) as usize, seed);

    let terms =
        operation.input_channels / operation.groups * operation.kernel[0] * operation.kernel[1];
    let filters = random_floats((operation.output_channels * terms) as usize, seed ^ 1);
    let mut packed = vec![f32::NAN; operation.packed_len().unwrap_or_default() as usize];
    assert_eq!(operation.pack(&filters, &mut packed, 0, &mut run_to_end), Ok(None));

    let bias = if operation.bias { operation.output_channels as usize } else { 0 };
    let bias = random_floats(bias, seed ^ 2);
    let outputs = (operation.batch * operation.output_channels * height * width) as usize;
    let residual = random_floats(if operation.residual { outputs } else { 0 }, seed ^ 3);
    let expected = conv2d(operation, [height, width], &input, &filters, &bias, &residual);

    for set in sets {
        let mut output = vec![f32::NAN; outputs];
        let data = Conv2dData {
            input: &input,
            filters: &packed,
            bias: &bias,
            residual: &residual,
            output: &mut output,
        };
        assert_eq!(operation.run_with(set, data, 0, &mut run_to_end), Ok(None));

        for threads in [2, 3] {
            let mut same = vec![f32::NAN; outputs];
            let data = Conv2dData {
                input: &input,
                filters: &packed,
                bias: &bias,
                residual: &residual,
                output: &mut same,
            };
            assert_eq!(operation.run_by(set, data, 0, &mut Threads::new(threads)), Ok(None));
            assert!(output == same, "{set}: {threads} threads");
        }

        for (index, (actual, expected)) in output.iter().zip(&expected).enumerate() {
            assert!(
                expected.is_near(*actual, terms as usize),
                "{set}: {index}: {actual} for {expected:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn convolutions_agree_with_exact_arithmetic((operation, seed) in cases()) {
        check(&operation, seed, InstructionSet::available());
    }
}

#[test]
fn convolutions_of_many_channels_agree_with_exact_arithmetic() {
    let operation = Conv2d {
        batch: 1,
        input_channels: 70,
        input: [9, 9],
        output_channels: 530,
        kernel: [3, 3],
        strides: [1, 1],
        dilations: [1, 1],
        pads: [1, 1, 1, 1],
        groups: 1,
        bias: true,
        residual: true,
        activation: Activation::Relu,
    };
    check(&operation, 7, InstructionSet::available());
    check(&Conv2d { kernel: [1, 1], pads: [0; 4], ..operation }, 8, InstructionSet::available());
    let strided = Conv2d { kernel: [1, 1], pads: [0; 4], strides: [2, 2], ..operation };
    check(&strided, 9, InstructionSet::available());
}

#[test]
fn convolutions_of_one_column_agree_with_exact_arithmetic() {
    let operation = Conv2d {
        batch: 2,
        input_channels: 20,
        input: [300, 1],
        output_channels: 50,
        kernel: [5, 1],
        strides: [1, 1],
        dilations: [1, 1],
        pads: [2, 0, 2, 0],
        groups: 1,
        bias: true,
        residual: true,
        activation: Activation::Relu,
    };
    check(&operation, 10, InstructionSet::available());
    check(&Conv2d { strides: [2, 3], ..operation }, 11, InstructionSet::available());
    check(&Conv2d { pads: [1, 1, 2, 3], ..operation }, 12, InstructionSet::available());
    check(&Conv2d { dilations: [3, 2], groups: 10, ..operation }, 13, InstructionSet::available());

    let depthwise = Conv2d { input_channels: 10, output_channels: 20, groups: 10, ..operation };
    check(&depthwise, 14, InstructionSet::available());
}

#[test]
fn convolutions_of_large_filters_agree_with_exact_arithmetic() {
    let operation = Conv2d {
        batch: 2,
        input_channels: 6,
        input: [30, 31],
        output_channels: 4,
        kernel: [15, 14],
        strides: [1, 1],
        dilations: [1, 1],
        pads: [7, 6, 7, 7],
        groups: 2,
        bias: true,
        residual: false,
        activation: Activation::None,
    };
    check(&operation, 15, InstructionSet::available());
    check(&Conv2d { strides: [1, 2], ..operation }, 16, InstructionSet::available());
    check(&Conv2d { input_channels: 2, ..operation }, 17, InstructionSet::available());
}

#[test]
fn depthwise_convolutions_agree_with_exact_arithmetic() {
    let operation = Conv2d {
        batch: 2,
        input_channels: 3,
        input: [50, 40],
        output_channels: 6,
        kernel: [5, 4],
        strides: [1, 1],
        dilations: [1, 1],
        pads: [2, 1, 2, 2],
        groups: 3,
        bias: true,
        residual: true,
        activation: Activation::Relu,
    };
    check(&operation, 18, InstructionSet::available());
    check(&Conv2d { strides: [2, 2], ..operation }, 19, InstructionSet::available());
    check(
        &Conv2d { strides: [3, 3], kernel: [8, 8], ..operation },
        20,
        InstructionSet::available(),
    );
    check(&Conv2d { dilations: [11, 9], ..operation }, 21, InstructionSet::available());
    check(&Conv2d { pads: [60, 70, 80, 90], ..operation }, 22, InstructionSet::available());

    // Rows that are too long to be copied, and strides that leave most of them out.
    let long = Conv2d { input: [5, 1500], ..operation };
    check(&long, 23, InstructionSet::available());
    check(&Conv2d { strides: [1, 2], ..long }, 24, InstructionSet::available());
    check(&Conv2d { strides: [1, 700], ..long }, 25, InstructionSet::available());
    check(&Conv2d { strides: [40, 1], ..operation }, 26, InstructionSet::available());
}

/// Pixels beside the window of a filter are read with it, and must not reach its sum.
#[test]
fn what_is_not_a_number_reaches_its_own_windows_alone() {
    for (stride, groups) in [(1, 1), (2, 1), (1, 4), (2, 4), (3, 4)] {
        let operation = Conv2d {
            batch: 1,
            input_channels: 4,
            input: [20, 20],
            output_channels: 4,
            kernel: [3, 3],
            strides: [stride, stride],
            dilations: [1, 1],
            pads: [1; 4],
            groups,
            bias: false,
            residual: false,
            activation: Activation::None,
        };
        let Ok([height, width]) = operation.output_size() else { panic!("the filters fit") };
        let mut input = vec![1.0; 4 * 20 * 20];
        (0..4).for_each(|channel| input[channel * 400 + 10 * 20 + 19] = f32::NAN);
        let filters = vec![1.0; operation.packed_len().unwrap_or_default() as usize];

        for set in InstructionSet::available() {
            let mut output = vec![0.0; (4 * height * width) as usize];
            let data = Conv2dData {
                input: &input,
                filters: &filters,
                bias: &[],
                residual: &[],
                output: &mut output,
            };
            assert_eq!(operation.run_with(set, data, 0, &mut run_to_end), Ok(None));

            for (index, output) in output.iter().enumerate() {
                let index = index as u32 % (height * width);
                let [row, column] = [index / width * stride, index % width * stride];
                let sees = row.abs_diff(10) < 2 && column.abs_diff(19) < 2;
                assert_eq!(output.is_nan(), sees, "{set}: stride {stride}, {row}, {column}");
            }
        }
    }
}
