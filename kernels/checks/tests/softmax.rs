//! Softmax of rows, against its definition in `f64`.

use std::ops::ControlFlow;

use kernel_checks::random_floats;
use proptest::prelude::*;
use wardian_kernels::{Error, InstructionSet, Softmax, run_to_end};

fn exact(row: &[f32]) -> Vec<f64> {
    let greatest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = row.iter().map(|x| (f64::from(*x) - f64::from(greatest)).exp());
    let powers: Vec<f64> = powers.collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

proptest! {
    #[test]
    fn rows_agree_with_exact_arithmetic(
        rows in 1..20_u32,
        columns in 1..200_u32,
        scale in prop_oneof![Just(1.0_f32), Just(30.0), Just(1e4)],
        seed: u64,
    ) {
        let values = random_floats((rows * columns) as usize, seed);
        let values: Vec<f32> = values.iter().map(|x| x * scale).collect();
        for set in InstructionSet::available() {
            let mut actual = values.clone();
            let operation = Softmax { rows, columns };
            prop_assert_eq!(operation.run_with(set, &mut actual, 0, &mut run_to_end), Ok(None));

            for (row, actual) in values.chunks(columns as usize).zip(actual.chunks(columns as usize)) {
                for (expected, actual) in exact(row).into_iter().zip(actual) {
                    let error = (f64::from(*actual) - expected).abs();
                    prop_assert!(error <= 1e-6 * expected + 1e-12, "{set}: {actual} {expected}");
                }
            }
        }
    }
}

#[test]
fn infinities_and_what_is_not_a_number() {
    let values = [
        [0.0, f32::NEG_INFINITY, 0.0],
        [f32::INFINITY, 0.0, 0.0],
        [f32::NAN, 0.0, 1.0],
        [f32::NEG_INFINITY; 3],
    ];
    for set in InstructionSet::available() {
        let mut actual = values.concat();
        let operation = Softmax { rows: 4, columns: 3 };
        assert_eq!(operation.run_with(set, &mut actual, 0, &mut run_to_end), Ok(None));
        assert_eq!(actual[..3], [0.5, 0.0, 0.5], "{set}");
        assert!(actual[3].is_nan() && actual[6..].iter().all(|x| x.is_nan()), "{set}: {actual:?}");
    }
}

#[test]
fn rows_in_pieces_are_the_same() {
    let operation = Softmax { rows: 3_000, columns: 100 };
    let values = random_floats(300_000, 1);
    for set in InstructionSet::available() {
        let mut whole = values.clone();
        operation.run_with(set, &mut whole, 0, &mut run_to_end).unwrap();

        let mut pieces = values.clone();
        let (mut start, mut calls) = (Some(0), 0);
        while let Some(position) = start {
            let mut stop = || ControlFlow::Break(());
            start = operation.run_with(set, &mut pieces, position, &mut stop).unwrap();
            calls += 1;
        }
        assert_eq!(whole, pieces, "{set}");
        assert!(calls > 1, "{set}");
    }
}

#[test]
fn descriptions_that_do_not_fit_are_refused() {
    let run = |rows, columns, count: usize| {
        Softmax { rows, columns }.run(&mut vec![0.0; count], 0, &mut run_to_end)
    };
    assert_eq!(run(0, 1, 0), Err(Error::Zero("the number of rows")));
    assert_eq!(run(1, 0, 0), Err(Error::Zero("the number of columns")));
    assert_eq!(run(1, Softmax::MAX_COLUMNS + 1, 0), Err(Error::TooLarge("the number of columns")));
    let length = Error::Length { name: "the matrix", actual: 5, expected: 6 };
    assert_eq!(run(2, 3, 5), Err(length));
    let all = run(u32::MAX, Softmax::MAX_COLUMNS, 5);
    assert!(matches!(all, Err(Error::Length { .. })), "{all:?}");

    let beyond = Softmax { rows: 1, columns: 1 }.run(&mut [0.0], 1, &mut run_to_end);
    assert_eq!(beyond, Err(Error::TooLarge("the position to continue at")));
}
