use crate::onnx::testing::{Case, ml_case, strings, tensor};

fn is_close(got: &[f32], expected: &[f32]) -> bool {
    got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5)
}

/// Two classes with a support vector each, at -1 and 1.
fn two_classes() -> Case {
    ml_case("SVMClassifier", 1)
        .floats("support_vectors", &[-1.0, 1.0])
        .floats("coefficients", &[1.0, -1.0])
        .floats("rho", &[0.25])
        .ints("vectors_per_class", &[1, 1])
        .texts("classlabels_strings", &["no", "yes"])
        .outputs(2)
}

#[test]
fn the_sign_of_the_decision_names_the_class() {
    let outputs = two_classes().run(&[tensor(&[3, 1], &[-1.0_f32, 1.0, 0.0])]).unwrap();
    assert_eq!(outputs[0], strings(&[3], &["no", "yes", "no"]));
    let scores = outputs[1].values::<f32>().unwrap();
    assert!(is_close(scores, &[-2.25, 2.25, 1.75, -1.75, -0.25, 0.25]), "{scores:?}");
}

#[test]
fn kernels_have_their_parameters() {
    let decision = |kernel: &str| {
        let case =
            two_classes().text("kernel_type", kernel).floats("kernel_params", &[0.5, 1.0, 2.0]);
        case.run(&[tensor(&[1, 1], &[3.0_f32])]).unwrap()[1].values::<f32>().unwrap()[1]
    };
    assert!(is_close(&[decision("RBF")], &[(-8.0_f32).exp() - (-2.0_f32).exp() + 0.25]));
    assert!(is_close(&[decision("POLY")], &[0.25 - 6.25 + 0.25]));
    assert!(is_close(&[decision("SIGMOID")], &[(-0.5_f32).tanh() - 2.5_f32.tanh() + 0.25]));
}

#[test]
fn probabilities_come_from_the_sigmoid() {
    let case = two_classes().floats("prob_a", &[-1.0]).floats("prob_b", &[0.5]);
    let outputs = case.run(&[tensor(&[1, 1], &[1.0_f32])]).unwrap();
    let first = 1.0 / (1.0 + (1.75_f32 + 0.5).exp());
    let scores = outputs[1].values::<f32>().unwrap();
    assert!((scores[0] - first).abs() < 2e-3 && (scores[0] + scores[1] - 1.0).abs() < 1e-6);
    assert_eq!(outputs[0], strings(&[1], &["yes"]));
}

#[test]
fn three_classes_vote_in_pairs() {
    let case = ml_case("SVMClassifier", 1)
        .floats("support_vectors", &[-1.0, 0.5, 1.0])
        .floats("coefficients", &[1.0, -1.0, -1.0, 1.0, 1.0, -1.0])
        .floats("rho", &[0.0, 0.0, -0.5])
        .ints("vectors_per_class", &[1, 1, 1])
        .ints("classlabels_ints", &[-7, 12, 40])
        .outputs(2);
    let outputs = case.run(&[tensor(&[2, 1], &[-1.0_f32, 2.0])]).unwrap();
    assert_eq!(outputs[0], tensor(&[2], &[-7_i64, 40]));
    let scores = outputs[1].values::<f32>().unwrap();
    assert!(is_close(&scores[..3], &[1.5, 2.0, 0.0]), "{scores:?}");
}

#[test]
fn regressors_sum_over_their_vectors() {
    let case = |one_class| {
        ml_case("SVMRegressor", 1)
            .floats("support_vectors", &[1.0, 0.0, 0.0, 2.0])
            .floats("coefficients", &[1.0, -1.0])
            .floats("rho", &[0.5])
            .int("n_supports", 2)
            .int("one_class", one_class)
    };
    let rows = || [tensor(&[2, 2], &[3.0_f32, 1.0, 0.0, 4.0])];
    assert_eq!(case(0).output(&rows()), tensor(&[2, 1], &[1.5_f32, -7.5]));
    assert_eq!(case(1).output(&rows()), tensor(&[2, 1], &[1.0_f32, -1.0]));
}

#[test]
fn counts_that_lie_are_refused() {
    let text = |case: Case| case.error(&[tensor(&[1, 1], &[0.0_f32])]);
    let case = |counts: &[i64], rho: &[f32]| {
        ml_case("SVMClassifier", 1)
            .floats("support_vectors", &[-1.0, 1.0])
            .floats("coefficients", &[1.0, -1.0])
            .floats("rho", rho)
            .ints("vectors_per_class", counts)
            .ints("classlabels_ints", &[0, 1])
    };
    assert!(text(case(&[1, -1], &[0.0])).ends_with("\"vectors_per_class\" has the value -1"));
    assert!(text(case(&[1, 1, 1], &[0.0])).ends_with("3 vectors_per_class for 2 classes"));
    assert!(text(case(&[1, 2], &[0.0])).ends_with("2 numbers for 3 support vectors"));
    assert!(text(case(&[0, 0], &[0.0])).ends_with("2 numbers for 0 support vectors"));
    assert!(text(case(&[1, 1], &[])).ends_with("0 rho where 1 belong"));
    let regressor = ml_case("SVMRegressor", 1).floats("rho", &[0.0]).int("n_supports", i64::MIN);
    assert!(text(regressor).contains("n_supports"));
}
