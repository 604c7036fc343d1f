//! Products of 8-bit integers on every instruction set, against 64-bit integers.

use kernel_checks::threads::Threads;
use kernel_checks::{random_bytes, random_floats};
use proptest::prelude::*;
use wardian_kernels::{
    Activation, InstructionSet, IntegerData, IntegerMatmul, IntegerOutput, IntegerPacking, Strides,
    run_to_end,
};

#[derive(Debug, Clone)]
struct Case {
    operation: IntegerMatmul,
    right: IntegerPacking,
    /// The number of right zero points: 0, 1 or one for each column.
    zeros: usize,
    scales: usize,
    bias: bool,
    residual: bool,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let sizes = (1..80_u32, prop_oneof![1..40_u32, 200..210_u32, Just(3000)], 1..70_u32, 0..3_u32);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());

    (sizes, flags, 0..3_usize, any::<bool>(), any::<u64>()).prop_map(
        |((rows, inner, columns, gap), flags, zeros, many_scales, seed)| {
            let (left_signed, signed, transposed, bias, residual) = flags;
            let left_zero = (seed % 200) as i32 - if left_signed { 100 } else { 0 };
            let strides = if transposed {
                Strides::transposed(inner, columns)
            } else {
                Strides::dense(inner, columns)
            };
            Case {
                operation: IntegerMatmul {
                    rows,
                    inner,
                    columns,
                    left_stride: inner + gap,
                    left_signed,
                    left_zero,
                    activation: if bias { Activation::Relu } else { Activation::None },
                },
                right: IntegerPacking { inner, columns, strides, signed },
                zeros: [0, 1, columns as usize][zeros],
                scales: if many_scales { columns as usize } else { 1 },
                bias,
                residual,
                seed,
            }
        },
    )
}

fn integer(bits: u8, signed: bool) -> i64 {
    if signed { i64::from(bits.cast_signed()) } else { i64::from(bits) }
}

/// Returns the value for a column: `none` without values, the only one, or one of a value for each.
fn of_column<T: Copy>(values: &[T], column: usize, none: T) -> T {
    match values {
        [] => none,
        [value] => *value,
        values => values[column],
    }
}

fn check(case: &Case, set: InstructionSet, threads: usize) {
    let operation = &case.operation;
    let [rows, inner, columns] =
        [operation.rows, operation.inner, operation.columns].map(|size| size as usize);
    let stride = operation.left_stride as usize;
    let left = random_bytes((rows - 1) * stride + inner, case.seed);
    let right = random_bytes(inner * columns, case.seed ^ 1);
    let zeros: Vec<i32> = random_bytes(case.zeros, case.seed ^ 2)
        .iter()
        .map(|zero| i32::from(zero.cast_signed()))
        .collect();

    let mut sums = Vec::new();
    for row in 0..rows {
        for column in 0..columns {
            // The zero point of unsigned weights is less by 128, as the packed weights are.
            let shift = if case.right.signed { 0 } else { 128 };
            let zero = i64::from(of_column(&zeros, column, 0)) + shift;
            let sum: i64 = (0..inner)
                .map(|k| {
                    let strides = case.right.strides;
                    let at = k * strides.row as usize + column * strides.column as usize;
                    let left = integer(left[row * stride + k], operation.left_signed);
                    let right = integer(right[at], case.right.signed);
                    (left - i64::from(operation.left_zero)) * (right - zero)
                })
                .sum();
            sums.push(sum as i32);
        }
    }

    let mut packed = vec![0xaa; case.right.packed_len().unwrap_or_default() as usize];
    assert_eq!(case.right.run(&right, &mut packed, 0, &mut run_to_end), Ok(None));
    let run = |output: IntegerOutput<'_>| {
        let data = IntegerData { left: &left, right: &packed, right_zero: &zeros, output };
        assert_eq!(operation.run_by(set, data, 0, &mut Threads::new(threads)), Ok(None));
    };

    let mut output = vec![0; rows * columns];
    run(IntegerOutput::Int32(&mut output));
    assert_eq!(output, sums, "{set}");

    let scale: Vec<f32> =
        random_floats(case.scales, case.seed ^ 3).iter().map(|x| x * 1e-3).collect();
    let bias = random_floats(if case.bias { columns } else { 0 }, case.seed ^ 4);
    let residual = random_floats(if case.residual { rows * columns } else { 0 }, case.seed ^ 5);
    let mut output = vec![0.0; rows * columns];
    run(IntegerOutput::Float {
        scale: &scale,
        bias: &bias,
        residual: &residual,
        output: &mut output,
    });
    for (index, (actual, sum)) in output.iter().zip(&sums).enumerate() {
        let column = index % columns;
        let mut expected = *sum as f32 * of_column(&scale, column, 0.0);
        expected += bias.get(column).copied().unwrap_or(0.0);
        expected += residual.get(index).copied().unwrap_or(0.0);
        if operation.activation == Activation::Relu {
            expected = expected.max(0.0);
        }
        assert!(
            (actual - expected).abs() <= 1e-6 * expected.abs().max(1.0),
            "{set}: {actual} {expected}"
        );
    }

    let bias: Vec<i32> = bias.iter().map(|bias| (bias * 1000.0) as i32).collect();
    for signed in [false, true] {
        let zero = 17;
        let mut output = vec![0; rows * columns];
        run(IntegerOutput::Quantized {
            scale: &scale,
            bias: &bias,
            zero,
            signed,
            output: &mut output,
        });
        for (index, (actual, sum)) in output.iter().zip(&sums).enumerate() {
            let column = index % columns;
            let sum = sum.wrapping_add(bias.get(column).copied().unwrap_or(0));
            let value = sum as f32 * of_column(&scale, column, 0.0);
            let value = i64::from(value.round_ties_even() as i32).saturating_add(zero.into());
            let expected = if signed { value.clamp(-128, 127) } else { value.clamp(0, 255) };
            assert_eq!(integer(*actual, signed), expected, "{set}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn sums_are_exact(case in cases()) {
        for set in InstructionSet::available() {
            check(&case, set, case.seed as usize % 3 + 1);
        }
    }
}

#[test]
fn the_greatest_sums_are_exact() {
    let inner = IntegerMatmul::MAX_INNER;
    let left = vec![255; inner as usize];
    let packing =
        IntegerPacking { inner, columns: 1, strides: Strides::dense(inner, 1), signed: true };
    let operation = IntegerMatmul {
        rows: 1,
        inner,
        columns: 1,
        left_stride: inner,
        left_signed: false,
        left_zero: 0,
        activation: Activation::None,
    };

    for weight in [-128_i8, 127] {
        let weights = vec![weight.cast_unsigned(); inner as usize];
        let mut packed = vec![0; packing.packed_len().unwrap_or_default() as usize];
        packing.run(&weights, &mut packed, 0, &mut run_to_end).unwrap();

        for set in InstructionSet::available() {
            let mut sum = [0];
            let output = IntegerOutput::Int32(&mut sum);
            let data = IntegerData { left: &left, right: &packed, right_zero: &[], output };
            operation.run_with(set, data, 0, &mut run_to_end).unwrap();
            assert_eq!(i64::from(sum[0]), 255 * i64::from(weight) * i64::from(inner), "{set}");
        }
    }
}
