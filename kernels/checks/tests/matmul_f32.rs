//! Products of `f32` matrices on every instruction set, against `f64`.

use kernel_checks::threads::Threads;
use kernel_checks::{extent, matmul, random_floats};
use proptest::prelude::*;
use wardian_kernels::{
    Activation, Bias, InstructionSet, Matmul, MatmulData, Packing, Right, Strides, run_to_end,
};

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::None),
        Just(Activation::Relu),
        Just(Activation::Clip(-0.5, 0.75)),
        Just(Activation::LeakyRelu(0.1)),
        Just(Activation::Sigmoid),
        Just(Activation::Tanh),
        Just(Activation::Silu),
        Just(Activation::Gelu),
        Just(Activation::GeluTanh),
        Just(Activation::HardSwish),
    ]
}

/// Strides of matrices of that shape: dense, transposed, with gaps, or interleaved in a batch.
fn strides([batch, rows, columns]: [u32; 3]) -> impl Strategy<Value = Strides> {
    (0..4_u32, 0..3_u32).prop_map(move |(kind, gap)| match kind {
        0 => Strides::dense(rows, columns),
        1 => Strides::transposed(rows, columns),
        2 => Strides { batch: (columns + gap) * rows + gap, row: columns + gap, column: 1 },
        _ => Strides { batch: columns + gap, row: (columns + gap) * batch, column: 1 },
    })
}

fn output_strides(shape: [u32; 3]) -> impl Strategy<Value = Strides> {
    strides(shape).prop_filter("columns are side by side", |strides| strides.column == 1)
}

#[derive(Debug, Clone)]
struct Case {
    operation: Matmul,
    /// The layout of the right matrix before it was packed, if it is.
    right: Strides,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let sizes = (1..4_u32, 1..40_u32, prop_oneof![1..70_u32, 180..420_u32], 1..120_u32);
    let shapes = prop_oneof![sizes, (Just(1), 120..140_u32, 1..10_u32, 40..60_u32),];

    shapes.prop_flat_map(|(batch, rows, inner, columns)| {
        (
            strides([batch, rows, inner]),
            strides([batch, inner, columns]),
            output_strides([batch, rows, columns]),
            any::<bool>(),
            prop_oneof![Just(Bias::None), Just(Bias::Columns), Just(Bias::Rows)],
            any::<bool>(),
            activations(),
            prop_oneof![Just(1.0_f32), Just(-0.125)],
            any::<u64>(),
        )
            .prop_map(
                move |(left, right, output, packed, bias, residual, activation, scale, seed)| {
                    let layout = if packed { Right::Packed } else { Right::Plain(right) };
                    let operation = Matmul {
                        batch,
                        rows,
                        inner,
                        columns,
                        left,
                        right: layout,
                        scale,
                        bias,
                        residual,
                        activation,
                        output,
                    };
                    Case { operation, right, seed }
                },
            )
    })
}

fn check(case: &Case, set: InstructionSet) {
    let operation = &case.operation;
    let Matmul { batch, rows, inner, columns, .. } = *operation;

    let left = random_floats(extent(operation.left, [batch, rows, inner]), case.seed);
    let right = random_floats(extent(case.right, [batch, inner, columns]), case.seed ^ 1);
    let bias = match operation.bias {
        Bias::None => 0,
        Bias::Columns => columns,
        Bias::Rows => rows,
    };
    let bias = random_floats(bias as usize, case.seed ^ 2);

    let mut output = vec![f32::NAN; extent(operation.output, [batch, rows, columns])];
    let residual = if operation.residual { output.len() } else { 0 };
    let residual = random_floats(residual, case.seed ^ 3);
    let expected = matmul(operation, &left, &right, case.right, &bias, &residual);

    let packed = match operation.right {
        Right::Plain(_) => right,
        Right::Packed => {
            let packing = Packing { inner, columns, strides: case.right };
            let mut packed = vec![f32::NAN; packing.packed_len().unwrap_or_default() as usize];
            assert_eq!(packing.run(&right, &mut packed, 0, &mut run_to_end), Ok(None));
            packed
        }
    };

    let data = MatmulData {
        left: &left,
        right: &packed,
        bias: &bias,
        residual: &residual,
        output: &mut output,
    };
    assert_eq!(operation.run_with(set, data, 0, &mut run_to_end), Ok(None));

    for threads in [2, 3] {
        let mut same = vec![f32::NAN; output.len()];
        let data = MatmulData {
            left: &left,
            right: &packed,
            bias: &bias,
            residual: &residual,
            output: &mut same,
        };
        assert_eq!(operation.run_by(set, data, 0, &mut Threads::new(threads)), Ok(None));
        let bits = |output: &[f32]| output.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&output), bits(&same), "{set}: {threads} threads");
    }

    for (index, (actual, expected)) in output.iter().zip(&expected).enumerate() {
        match expected {
            None => assert!(actual.is_nan(), "{set}: {index} was written"),
            Some(expected) => assert!(
                expected.is_near(*actual, inner as usize),
                "{set}: {index}: {actual} for {expected:?}"
            ),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn products_agree_with_exact_arithmetic(case in cases()) {
        for set in InstructionSet::available() {
            check(&case, set);
        }
    }
}

#[test]
fn a_product_in_pieces_is_the_same_product() {
    let mut operation = Matmul::dense(300, 500, 100);
    operation.activation = Activation::Gelu;
    let left = random_floats(300 * 500, 1);
    let right = random_floats(500 * 112, 2);

    for set in InstructionSet::available() {
        let run = |breaking: bool| {
            let mut output = vec![0.0; 300 * 100];
            let mut position = 0;
            let mut runs = 0;
            loop {
                let data = MatmulData {
                    left: &left,
                    right: &right,
                    bias: &[],
                    residual: &[],
                    output: &mut output,
                };
                let mut checkpoint = || {
                    if breaking { std::ops::ControlFlow::Break(()) } else { run_to_end() }
                };
                runs += 1;
                match operation.run_with(set, data, position, &mut checkpoint).unwrap() {
                    Some(next) => position = next,
                    None => return (output, runs),
                }
            }
        };

        let (pieces, runs) = run(true);
        assert!(runs > 1, "{set}: {runs}");
        assert_eq!(pieces, run(false).0, "{set}");
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let left = [f32::NAN, 1.0];
    for activation in [
        Activation::None,
        Activation::Relu,
        Activation::Clip(-1.0, 1.0),
        Activation::LeakyRelu(0.1),
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Silu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::HardSwish,
    ] {
        for set in InstructionSet::available() {
            let right = Right::Plain(Strides::dense(1, 1));
            let operation = Matmul { activation, right, ..Matmul::dense(2, 1, 1) };
            let mut output = [0.0; 2];
            let data = MatmulData {
                left: &left,
                right: &[1.0],
                bias: &[],
                residual: &[],
                output: &mut output,
            };
            operation.run_with(set, data, 0, &mut run_to_end).unwrap();
            assert!(output[0].is_nan() && !output[1].is_nan(), "{set}: {activation:?}: {output:?}");
        }
    }
}
