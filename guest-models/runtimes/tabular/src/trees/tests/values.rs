use super::{leaf, split};
use crate::trees::{Categories, EnsembleBuilder, Extreme, Leaf, Missing, Node, Number, Test};

/// Answers 1 for yes and 0 for no.
fn answers<T: Number + From<u8>>(test: Test<T>, missing: Missing, values: &[T]) -> String {
    let mut builder = EnsembleBuilder::new(1, 1);
    builder
        .add(0, vec![split(0, test, missing, 1, 2), leaf(T::from(1)), leaf(T::from(0))])
        .unwrap();
    let mut sums = vec![T::default(); values.len()];
    builder.build().add_to(values, &mut sums);
    sums.iter().map(|sum| if *sum == T::from(1) { 'y' } else { 'n' }).collect()
}

#[test]
fn every_comparison_has_its_exact_border() {
    let values = [0.5_f32.next_down(), 0.5, 0.5_f32.next_up(), f32::NEG_INFINITY, f32::INFINITY];
    let all = |test| answers(test, Missing::Never, &values);
    assert_eq!(all(Test::Less(0.5)), "ynnyn");
    assert_eq!(all(Test::LessOrEqual(0.5)), "yynyn");
    assert_eq!(all(Test::Greater(0.5)), "nnyny");
    assert_eq!(all(Test::GreaterOrEqual(0.5)), "nyyny");
    assert_eq!(all(Test::Equal(0.5)), "nynnn");
    assert_eq!(all(Test::NotEqual(0.5)), "ynyyy");
    assert_eq!(all(Test::OneOf(vec![f32::INFINITY, 0.5])), "nynny");
}

#[test]
fn infinite_and_missing_thresholds_are_compared_as_numbers_are() {
    let values = [f64::NEG_INFINITY, 0.0, f64::INFINITY, f64::NAN];
    let all = |test| answers(test, Missing::NanIsYes, &values);
    assert_eq!(all(Test::Less(f64::NEG_INFINITY)), "nnny");
    assert_eq!(all(Test::LessOrEqual(f64::NEG_INFINITY)), "ynny");
    assert_eq!(all(Test::Less(f64::INFINITY)), "yyny");
    assert_eq!(all(Test::LessOrEqual(f64::INFINITY)), "yyyy");
    assert_eq!(all(Test::Greater(f64::INFINITY)), "nnny");
    assert_eq!(all(Test::GreaterOrEqual(f64::NEG_INFINITY)), "yyyy");
    assert_eq!(all(Test::Less(f64::NAN)), "nnny");
    assert_eq!(all(Test::GreaterOrEqual(f64::NAN)), "nnny");
}

#[test]
fn missing_values_take_their_side() {
    let values = [f64::NAN, 0.0, -0.0, 1e-35, 1.1e-35, -1.0, 9.0];
    let all = |missing| answers(Test::LessOrEqual(-0.5), missing, &values);
    assert_eq!(all(Missing::Never), "nnnnnyn");
    assert_eq!(all(Missing::NanIsYes), "ynnnnyn");
    assert_eq!(all(Missing::NanIsNo), "nnnnnyn");
    assert_eq!(all(Missing::NanIsZero), "nnnnnyn");
    assert_eq!(all(Missing::ZeroIsYes), "yyyynyn");
    assert_eq!(all(Missing::ZeroIsNo), "nnnnnyn");
    let above = |missing| answers(Test::Greater(-0.5), missing, &values);
    assert_eq!(above(Missing::Never), "nyyyyny");
    assert_eq!(above(Missing::NanIsZero), "yyyyyny");
    assert_eq!(above(Missing::ZeroIsNo), "nnnnyny");
}

#[test]
fn zero_is_either_sign_at_a_threshold() {
    let values = [0.0_f32, -0.0];
    for threshold in values {
        for missing in [Missing::NanIsYes, Missing::NanIsNo] {
            let all = |test| answers(test, missing, &values);
            assert_eq!(all(Test::Less(threshold)), "nn");
            assert_eq!(all(Test::LessOrEqual(threshold)), "yy");
            assert_eq!(all(Test::GreaterOrEqual(threshold)), "yy");
        }
    }
}

#[test]
fn categories_are_whole_codes() {
    let values = [0.0, 3.0, 31.0, 32.0, 64.0, 0.9, -0.5, -1.0, 3e9, 1e10, f64::INFINITY, f64::NAN];
    let members = Categories::words([0, 31, 64]);
    let all = |known: Option<Vec<u32>>, below_zero_is_zero, missing| {
        let categories = Categories { members: members.clone(), known, below_zero_is_zero };
        answers(Test::Category(categories), missing, &values)
    };
    assert_eq!(all(None, false, Missing::NanIsNo), "ynynyynnnnnn");
    assert_eq!(all(None, true, Missing::NanIsNo), "ynynyyynnnnn");
    assert_eq!(all(None, false, Missing::NanIsYes), "ynynyynnnnny");
    let known = Some(Categories::words([0, 3, 31, 64]));
    assert_eq!(all(known, false, Missing::NanIsYes), "ynyyyyyyyyyy");
}

#[test]
fn leaves_are_added_to_what_the_sums_start_with() {
    let mut builder = EnsembleBuilder::new(1, 2);
    let some = Leaf::Some(vec![(1, 2.0), (1, 3.0)]);
    builder
        .add(
            0,
            vec![
                split(0, Test::Less(0.5), Missing::Never, 1, 2),
                Node::Leaf(some),
                Node::Leaf(Leaf::All(vec![7.0, 8.0])),
            ],
        )
        .unwrap();
    builder.add(0, vec![leaf(10.0)]).unwrap();
    let mut sums = [100.0, 200.0, 300.0, 400.0];
    builder.build().add_to(&[0.0, 1.0_f32], &mut sums);
    assert_eq!(sums, [110.0, 205.0, 317.0, 408.0]);
}

#[test]
fn a_linear_leaf_answers_for_missing_features_otherwise() {
    let terms = vec![(0, 2.0), (1, 3.0)];
    let linear = Leaf::Linear { output: 0, constant: 1.0, terms, otherwise: 9.0 };
    let mut builder = EnsembleBuilder::new(2, 1);
    builder.add(0, vec![Node::Leaf(linear)]).unwrap();
    let mut sums = [0.0; 2];
    builder.build().add_to(&[10.0, 100.0, f64::NAN, 100.0], &mut sums);
    assert_eq!(sums, [321.0, 9.0]);
}

#[test]
fn sums_are_of_the_library_s_precision_and_order() {
    let mut builder = EnsembleBuilder::new(0, 1);
    for value in [1e8_f32, 1.0, -1e8] {
        builder.add(0, vec![leaf(value)]).unwrap();
    }
    let ensemble = builder.build();
    let (mut floats, mut doubles) = ([0.0_f32], [0.0_f64]);
    ensemble.add_to(&[], &mut floats);
    ensemble.add_to(&[], &mut doubles);
    assert_eq!(floats, [0.0], "the 1 is lost in the float32 beside 1e8");
    assert_eq!(doubles, [1.0]);
}

#[test]
fn the_extreme_leaf_replaces_what_was_there() {
    let mut builder = EnsembleBuilder::new(0, 2);
    for value in [3.0, -1.0, 2.0] {
        builder.add(0, vec![leaf(value)]).unwrap();
    }
    let trees = builder.build();
    let extreme = |which| {
        let mut extremes = [-5.0, 7.0];
        trees.extremes(which, &[], &mut extremes);
        extremes
    };
    assert_eq!(extreme(Extreme::Lowest), [-1.0, 7.0]);
    assert_eq!(extreme(Extreme::Highest), [3.0, 7.0]);
}
