//! Operations on several threads: the same bits as on one, and the same positions.

use kernel_checks::threads::Threads;
use kernel_checks::{random_bytes, random_floats};
use wardian_kernels::{
    Activation, Conv2d, Conv2dData, Error, InstructionSet, IntegerData, IntegerMatmul,
    IntegerOutput, IntegerPacking, Matmul, MatmulData, Right, Strides, Team, run_to_end,
};

/// Runs an operation from a position on.
type Run<'a> =
    dyn Fn(InstructionSet, &mut [f32], u64, &mut dyn Team) -> Result<Option<u64>, Error> + 'a;

/// Stops an operation at every checkpoint and continues it with another number of threads. Returns
/// the number of runs.
fn in_pieces(set: InstructionSet, output: &mut [f32], counts: &[usize], run: &Run<'_>) -> usize {
    let mut position = 0;
    for (runs, &count) in (1..).zip(counts.iter().cycle()) {
        match run(set, output, position, &mut Threads { count, breaking: true }) {
            Ok(Some(next)) => {
                assert!(next > position, "{set}: from {position} to {next}");
                position = next;
            }
            end => {
                assert_eq!(end, Ok(None));
                return runs;
            }
        }
    }
    unreachable!("the numbers of threads are repeated without end");
}

fn check(name: &str, len: usize, run: &Run<'_>) {
    let bits = |output: &[f32]| output.iter().map(|number| number.to_bits()).collect::<Vec<_>>();

    for set in InstructionSet::available() {
        let mut expected = vec![f32::NAN; len];
        assert_eq!(run(set, &mut expected, 0, &mut Threads::new(1)), Ok(None));
        assert!(expected.iter().all(|number| number.is_finite()), "{set}: {name}");

        for count in [2, 3] {
            let mut output = vec![f32::NAN; len];
            assert_eq!(run(set, &mut output, 0, &mut Threads::new(count)), Ok(None));
            assert_eq!(bits(&output), bits(&expected), "{set}: {name}, {count} threads");
        }

        for counts in [&[1][..], &[2], &[1, 2, 3, 2]] {
            let mut output = vec![f32::NAN; len];
            let runs = in_pieces(set, &mut output, counts, run);
            // Several threads may take all units before their first checkpoints.
            assert!(runs > 1 || counts != [1], "{set}: {name}");
            assert_eq!(bits(&output), bits(&expected), "{set}: {name}, {counts:?}");
        }
    }
}

fn check_convolution(name: &str, operation: Conv2d) {
    let [height, width] = operation.output_size().unwrap_or_default();
    let [input_height, input_width] = operation.input;
    let input = (operation.batch * operation.input_channels * input_height * input_width) as usize;
    let input = random_floats(input, 1);
    let filters = random_floats(operation.packed_len().unwrap_or_default() as usize, 2);
    let bias = random_floats(operation.output_channels as usize, 3);
    let len = (operation.batch * operation.output_channels * height * width) as usize;
    let residual = random_floats(len, 4);

    check(name, len, &|set, output, position, team| {
        let data = Conv2dData {
            input: &input,
            filters: &filters,
            bias: &bias,
            residual: &residual,
            output,
        };
        operation.run_by(set, data, position, team)
    });
}

fn convolution(channels: [u32; 2], image: u32, kernel: u32, groups: u32) -> Conv2d {
    Conv2d {
        batch: 1,
        input_channels: channels[0],
        input: [image, image],
        output_channels: channels[1],
        kernel: [kernel, kernel],
        strides: [1, 1],
        dilations: [1, 1],
        pads: [kernel / 2; 4],
        groups,
        bias: true,
        residual: true,
        activation: Activation::Silu,
    }
}

#[test]
fn convolutions_are_the_same_on_any_number_of_threads() {
    check_convolution("many channels", convolution([70, 530], 9, 3, 1));
    check_convolution("deep filters", convolution([300, 150], 14, 3, 1));
    check_convolution("many pixels", convolution([24, 40], 100, 3, 2));
    check_convolution("small images", Conv2d { batch: 3, ..convolution([200, 500], 7, 1, 1) });
    check_convolution("one channel for each group", convolution([400, 400], 50, 5, 400));
}

#[test]
fn products_are_the_same_on_any_number_of_threads() {
    let dense = Matmul { batch: 3, ..Matmul::dense(150, 300, 100) };
    let right = Right::Plain(Strides::dense(300, 100));
    for (name, operation, len) in [
        ("matrices in order", Matmul { right, ..dense }, 3 * 15_000),
        ("one packed right", dense, 3 * 15_000),
        (
            "matrices side by side",
            Matmul { output: Strides { batch: 100, row: 300, column: 1 }, ..dense },
            3 * 15_000,
        ),
    ] {
        let left = random_floats(3 * 150 * 300, 1);
        let right = match operation.right {
            Right::Packed => 300 * 112,
            Right::Plain(_) => 3 * 300 * 100,
        };
        let right = random_floats(right, 2);

        check(name, len, &|set, output, position, team| {
            let data = MatmulData { left: &left, right: &right, bias: &[], residual: &[], output };
            operation.run_by(set, data, position, team)
        });
    }
}

#[test]
fn products_of_integers_are_the_same_on_any_number_of_threads() {
    let (rows, inner, columns) = (1000, 400, 100);
    let operation = IntegerMatmul {
        rows,
        inner,
        columns,
        left_stride: inner,
        left_signed: true,
        left_zero: 3,
        activation: Activation::Tanh,
    };
    let strides = Strides::dense(inner, columns);
    let packing = IntegerPacking { inner, columns, strides, signed: true };
    let mut right = vec![0; packing.packed_len().unwrap() as usize];
    let values = random_bytes((inner * columns) as usize, 2);
    packing.run(&values, &mut right, 0, &mut run_to_end).unwrap();
    let left = random_bytes((rows * inner) as usize, 1);

    check("integers", (rows * columns) as usize, &|set, output, position, team| {
        let output = IntegerOutput::Float { scale: &[1e-4], bias: &[], residual: &[], output };
        let data = IntegerData { left: &left, right: &right, right_zero: &[], output };
        operation.run_by(set, data, position, team)
    });
}

#[test]
fn a_position_behind_the_end_is_refused_on_any_number_of_threads() {
    let operation = Matmul::dense(200, 10, 100);
    for count in 1..=3 {
        let mut output = vec![0.0; 200 * 100];
        let data = MatmulData {
            left: &[1.0; 2000],
            right: &[1.0; 1120],
            bias: &[],
            residual: &[],
            output: &mut output,
        };
        let late = operation.run_by(InstructionSet::best(), data, 6, &mut Threads::new(count));
        assert_eq!(late, Err(Error::TooLarge("the position to continue at")));
    }
}
