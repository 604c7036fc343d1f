//! Right values of operators, where implementations are known to differ.

use crate::tensor::{Tensor, Text};
use crate::testing::{Case, strings, tensor};
use crate::tests::REGISTRY;

fn vector<T: crate::tensor::Element>(values: &[T]) -> Tensor {
    tensor(&[values.len()], values)
}

/// Text of values, in which NaN equals NaN and -0 is not 0.
fn shown(values: &[f32]) -> String {
    format!("{values:?}")
}

#[test]
fn nan_stays_in_activations_and_limits() {
    let input = || vector(&[f32::NAN, -2.0, 0.0, 3.0, -0.0]);
    let relu = Case::new(REGISTRY, "Relu", 14).values::<f32>(&[input()]);
    assert_eq!(shown(&relu), shown(&[f32::NAN, 0.0, 0.0, 3.0, -0.0]));

    let high = Some(tensor(&[], &[2_f32]));
    let clip =
        Case::new(REGISTRY, "Clip", 13).run_with(&[Some(input()), None, high], false).unwrap();
    assert_eq!(shown(clip[0].values().unwrap()), shown(&[f32::NAN, -2.0, 0.0, 2.0, -0.0]));

    let clip = Case::new(REGISTRY, "Clip", 6).float("min", -1.0).values::<f32>(&[input()]);
    assert_eq!(shown(&clip), shown(&[f32::NAN, -1.0, 0.0, 3.0, -0.0]));
}

#[test]
fn softmax_before_version_13_joins_the_axes() {
    let ones = tensor(&[1, 2, 2], &[0_f32; 4]);
    let old = Case::new(REGISTRY, "LogSoftmax", 11).values::<f32>(std::slice::from_ref(&ones));
    let new = Case::new(REGISTRY, "LogSoftmax", 13).values::<f32>(&[ones]);
    assert!((old[0].exp() - 0.25).abs() < 1e-6 && (new[0].exp() - 0.5).abs() < 1e-6);
}

#[test]
fn softmax_of_many_numbers_is_that_of_few() {
    let values: Vec<f32> = (0..9_000).map(|index| (index * 37 % 101) as f32 * 0.1).collect();
    for (version, shape, axis) in
        [(13, [90, 2, 50], -1), (13, [90, 50, 2], 1), (11, [90, 2, 50], 1)]
    {
        let case = || Case::new(REGISTRY, "Softmax", version).int("axis", axis);
        let all = case().values::<f32>(&[tensor(&shape, &values)]);
        for (index, all) in all.chunks(100).enumerate() {
            let part = &values[index * 100..][..100];
            let one = case().values::<f32>(&[tensor(&[1, shape[1], shape[2]], part)]);
            let differs = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-7;
            assert!(!all.iter().zip(&one).any(differs), "{version} {shape:?}: {all:?} {one:?}");
        }
    }
}

#[test]
fn softmax_takes_infinities() {
    let rows = [1e4, 10001.0, f32::NEG_INFINITY, 0.0, f32::INFINITY, 0.0];
    let answers = Case::new(REGISTRY, "Softmax", 13).values::<f32>(&[tensor(&[3, 2], &rows)]);
    assert!((answers[0] - 0.268_941).abs() < 1e-6 && (answers[1] - 0.731_059).abs() < 1e-6);
    assert_eq!(answers[2..4], [0.0, 1.0]);
    assert!(answers[4].is_nan() && answers[5].is_nan());
}

#[test]
fn integers_divide_towards_zero_and_their_remainders_follow_the_divisor() {
    let inputs = || [vector(&[8_i64, -8, 7, -7]), vector(&[-3_i64, 3, -2, 2])];
    assert_eq!(Case::new(REGISTRY, "Div", 14).values::<i64>(&inputs()), [-2, -2, -3, -3]);
    assert_eq!(Case::new(REGISTRY, "Mod", 13).values::<i64>(&inputs()), [-1, 1, -1, 1]);
    assert_eq!(
        Case::new(REGISTRY, "Mod", 13).int("fmod", 1).values::<i64>(&inputs()),
        [2, -2, 1, -1]
    );

    let by_zero = [vector(&[1_i64]), vector(&[0_i64])];
    assert_eq!(Case::new(REGISTRY, "Div", 14).error(&by_zero), "a whole number is divided by 0");
    let lowest = [vector(&[i64::MIN]), vector(&[-1_i64])];
    assert_eq!(Case::new(REGISTRY, "Div", 14).values::<i64>(&lowest), [i64::MIN]);
}

/// Every way in which three tensors can share a shape of two axes.
#[test]
fn where_chooses_from_tensors_of_other_shapes() {
    let shapes: [&[usize]; 6] = [&[2, 3], &[1, 3], &[2, 1], &[1, 1], &[3], &[]];
    let at = |shape: &[usize], row: usize, column: usize| match *shape {
        [] | [1, 1] => 0,
        [2, 1] => row,
        [2, 3] => row * 3 + column,
        _ => column,
    };
    let values = |first: i32| (0..6).map(|index| first + index).collect::<Vec<i32>>();
    let (conditions, yes, no) = ([true, false, true, true, false, false], values(0), values(10));

    for condition in shapes {
        for yes_shape in shapes {
            for no_shape in shapes {
                let len = |shape: &[usize]| shape.iter().product::<usize>();
                let inputs = [
                    tensor(condition, &conditions[..len(condition)]),
                    tensor(yes_shape, &yes[..len(yes_shape)]),
                    tensor(no_shape, &no[..len(no_shape)]),
                ];
                let output = Case::new(REGISTRY, "Where", 16).output(&inputs);
                let extents = |axis| output.shape().iter().rev().nth(axis).copied().unwrap_or(1);
                let (columns, rows) = (extents(0), extents(1));

                let expected = (0..rows * columns).map(|index| {
                    let (row, column) = (index / columns, index % columns);
                    match conditions[at(condition, row, column)] {
                        true => yes[at(yes_shape, row, column)],
                        false => no[at(no_shape, row, column)],
                    }
                });
                let expected: Vec<i32> = expected.collect();
                assert_eq!(output.values::<i32>().unwrap(), expected, "{inputs:?}");
            }
        }
    }
}

#[test]
fn transpose_moves_every_element_to_its_place() {
    let shape = [3, 1, 19, 37];
    let count = shape.iter().product::<usize>();
    let input = tensor(&shape, &(0..count as i32).collect::<Vec<_>>());
    let index = |place: [usize; 4]| {
        place.iter().zip(shape).fold(0, |index, (place, extent)| index * extent + place)
    };

    for order in orders() {
        let output = input.transpose(&order).unwrap();
        let extents = order.map(|axis| shape[axis]);
        assert_eq!(**output.shape(), extents);

        for (number, value) in output.values::<i32>().unwrap().iter().enumerate() {
            let mut rest = number;
            let mut place = [0; 4];
            for (axis, extent) in order.iter().zip(extents).rev() {
                place[*axis] = rest % extent;
                rest /= extent;
            }
            assert_eq!(*value as usize, index(place), "{order:?}");
        }
    }
}

/// All orders of four axes.
fn orders() -> Vec<[usize; 4]> {
    let all = (0..256).map(|code| [code / 64, code / 16 % 4, code / 4 % 4, code % 4]);
    all.filter(|order| (0..4).all(|axis| order.contains(&axis))).collect()
}

#[test]
fn doubles_stay_doubles() {
    let inputs = [vector(&[1.000_000_000_001_f64]), vector(&[1_f64])];
    let difference = Case::new(REGISTRY, "Sub", 14).values::<f64>(&inputs);
    assert_eq!(difference, [1.000_088_900_582_341e-12]);
}

#[test]
fn casts_round_and_cut_as_the_reference_does() {
    let to = |code| Case::new(REGISTRY, "Cast", 13).int("to", code);
    assert_eq!(to(2).values::<u8>(&[vector(&[2.7_f32, 254.9])]), [2, 254]);
    assert_eq!(to(9).values::<bool>(&[vector(&[0.5_f32, -0.0])]), [true, false]);
    let halves = to(10).output(&[vector(&[65519_f32, 65520.0, 2049.0, 2051.0])]);
    assert_eq!(to(1).values::<f32>(&[halves]), [65504.0, f32::INFINITY, 2048.0, 2052.0]);

    let texts = strings(&[4], &["NaN", "INF", "-1e-5", "16777217"]);
    let floats = to(1).values::<f32>(&[texts]);
    assert_eq!(shown(&floats), shown(&[f32::NAN, f32::INFINITY, -1e-5, 16_777_216.0]));
    assert_eq!(to(11).values::<f64>(&[strings(&[1], &["16777217"])]), [16_777_217.0]);
    let text = to(1).error(&[strings(&[1], &["x"])]);
    assert_eq!(text, "a string is not a number of this type");
}

#[test]
fn numbers_become_texts_with_as_many_digits_as_they_have() {
    let case = Case::new(REGISTRY, "Cast", 13).int("to", 8);
    let texts = case.values::<Text>(&[vector(&[0.5_f32, 1e10, 3.0, f32::NAN, 1e-5, -2.25])]);
    let texts: Vec<_> = texts.iter().map(|text| &**text).collect();
    assert_eq!(texts, ["0.5", "1e+10", "3", "NaN", "9.9999997e-06", "-2.25"]);
}

#[test]
fn ties_go_to_the_first_or_as_asked() {
    let input = || vector(&[3_f32, 1.0, 3.0, 2.0, 3.0, 1.0]);
    assert_eq!(Case::new(REGISTRY, "ArgMax", 13).values::<i64>(&[input()]), [0]);
    let last = Case::new(REGISTRY, "ArgMax", 13).int("select_last_index", 1);
    assert_eq!(last.values::<i64>(&[input()]), [4]);
    assert_eq!(Case::new(REGISTRY, "ArgMin", 13).values::<i64>(&[input()]), [1]);

    let places = |case: Case| {
        let outputs = case.outputs(2).run(&[input(), vector(&[4_i64])]).unwrap();
        outputs[1].values::<i64>().unwrap().to_vec()
    };
    assert_eq!(places(Case::new(REGISTRY, "TopK", 11)), [0, 2, 4, 3]);
    assert_eq!(places(Case::new(REGISTRY, "TopK", 11).int("largest", 0)), [1, 5, 3, 0]);
}

#[test]
fn slices_go_backwards_and_beyond_the_ends() {
    let data: Vec<i64> = (0..60).collect();
    let inputs = [
        tensor(&[3, 4, 5], &data),
        vector(&[-2_i64, -1, i64::MAX]),
        vector(&[(1_i64 << 31) - 1, i64::MIN, i64::MIN]),
        vector(&[0_i64, -2, 2]),
        vector(&[1_i64, -1, -2]),
    ];
    let part = Case::new(REGISTRY, "Slice", 13).output(&inputs);
    assert_eq!(**part.shape(), [2, 4, 3]);
    assert_eq!(part.values::<i64>().unwrap()[..6], [39, 37, 35, 34, 32, 30]);
}

#[test]
fn negative_indices_count_from_the_end_and_others_are_rejected() {
    let data = || tensor(&[2, 3], &[1_i64, 2, 3, 4, 5, 6]);
    let last = Case::new(REGISTRY, "Gather", 13)
        .int("axis", 1)
        .values::<i64>(&[data(), vector(&[-1_i64])]);
    assert_eq!(last, [3, 6]);
    let indices = tensor(&[2, 1], &[-1_i64, 0]);
    let case = Case::new(REGISTRY, "GatherElements", 13).int("axis", 1);
    assert_eq!(case.values::<i64>(&[data(), indices]), [3, 4]);
    let indices = tensor(&[1, 2], &[-1_i64, -1]);
    assert_eq!(Case::new(REGISTRY, "GatherND", 13).values::<i64>(&[data(), indices]), [6]);
    let text = Case::new(REGISTRY, "Gather", 13).error(&[data(), vector(&[2_i64])]);
    assert_eq!(text, "there is no index 2 of 2");
}

#[test]
fn reductions_take_axes_as_input_and_empty_groups() {
    let empty = || tensor::<f32>(&[3, 0], &[]);
    let axes = || vector(&[1_i64]);
    let keep = |name: &str| Case::new(REGISTRY, name, 18).int("keepdims", 0);
    assert_eq!(keep("ReduceSum").values::<f32>(&[empty(), axes()]), [0.0; 3]);
    assert_eq!(keep("ReduceProd").values::<f32>(&[empty(), axes()]), [1.0; 3]);

    let data = || tensor(&[2, 2], &[1_f32, -2.0, 3.0, 4.0]);
    assert_eq!(keep("ReduceMax").values::<f32>(&[data()]), [4.0]);
    let unchanged = keep("ReduceSum").int("noop_with_empty_axes", 1);
    assert_eq!(unchanged.output(&[data()]), data());
    assert_eq!(
        Case::new(REGISTRY, "ReduceL1", 13).ints("axes", &[0]).values::<f32>(&[data()]),
        [4.0, 6.0]
    );
}

#[test]
fn shapes_are_inferred_and_zeros_copied_or_allowed() {
    let shape_of = |case: Case, shape: &[usize], wanted: &[i64]| {
        let data = vec![0_f32; shape.iter().product()];
        let output = case.output(&[tensor(shape, &data), vector(wanted)]);
        output.shape().to_vec()
    };
    assert_eq!(shape_of(Case::new(REGISTRY, "Reshape", 13), &[2, 3, 4], &[0, -1]), [2, 12]);
    let allowing = Case::new(REGISTRY, "Reshape", 14).int("allowzero", 1);
    assert_eq!(shape_of(allowing, &[0, 7], &[3, 0]), [3, 0]);

    let parts = Case::new(REGISTRY, "Split", 18).int("num_outputs", 3).outputs(3);
    let parts = parts.run(&[vector(&[0_f32; 7])]).unwrap();
    assert_eq!(parts.iter().map(Tensor::len).collect::<Vec<_>>(), [3, 3, 1]);
    let places =
        Case::new(REGISTRY, "NonZero", 13).values::<i64>(&[vector(&[3_f32, 0.0, -0.0, 3.0, 1.0])]);
    assert_eq!(places, [0, 3, 4]);
    let sum = Case::new(REGISTRY, "CumSum", 14).int("exclusive", 1).int("reverse", 1);
    let sums = sum.values::<f32>(&[vector(&[3_f32, 0.0, 0.0, 3.0, 1.0]), tensor(&[], &[0_i64])]);
    assert_eq!(sums, [4.0, 4.0, 4.0, 1.0, 0.0]);
}

#[test]
fn products_of_matrices_take_stacks_and_vectors() {
    let one: Vec<f32> = (0..6).map(|number| number as f32).collect();
    let other: Vec<f32> = (0..15).map(|number| number as f32).collect();
    let product =
        Case::new(REGISTRY, "MatMul", 13).output(&[tensor(&[2, 3], &one), tensor(&[3, 5], &other)]);
    assert_eq!(product.values::<f32>().unwrap()[..5], [25.0, 28.0, 31.0, 34.0, 37.0]);
    let vector_product =
        Case::new(REGISTRY, "MatMul", 13).output(&[tensor(&[2, 3], &one), vector(&one[..3])]);
    assert_eq!(vector_product, vector(&[5_f32, 14.0]));

    let gemm =
        Case::new(REGISTRY, "Gemm", 13).int("transB", 1).float("alpha", 2.0).float("beta", 0.5);
    let bias = vector(&[10_f32, 20.0]);
    let result = gemm.values::<f32>(&[tensor(&[2, 3], &one), tensor(&[2, 3], &one), bias]);
    assert_eq!(result, [15.0, 38.0, 33.0, 110.0]);
}

#[test]
fn shapes_that_do_not_fit_are_rejected() {
    let text =
        Case::new(REGISTRY, "Add", 14).error(&[vector(&[1_f32, 2.0]), vector(&[1_f32, 2.0, 3.0])]);
    assert_eq!(text, "the shapes [2] and [3] do not fit each other");
    let huge = [vector(&[1_f32]), vector(&[1_i64 << 40])];
    assert!(Case::new(REGISTRY, "Expand", 13).error(&huge).contains("is larger than"));
}
