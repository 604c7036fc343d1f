use crate::onnx::testing::{Case, ml_case, strings, tensor};
use onnx_executor::proto::TensorProto;

/// The nodes of a tree that answers node 1 up to 0, and node 2 above.
fn stump(case: Case) -> Case {
    case.ints("nodes_treeids", &[0, 0, 0])
        .ints("nodes_nodeids", &[0, 1, 2])
        .ints("nodes_featureids", &[0, 0, 0])
        .floats("nodes_values", &[0.0, 0.0, 0.0])
        .texts("nodes_modes", &["BRANCH_LEQ", "LEAF", "LEAF"])
        .ints("nodes_truenodeids", &[1, 0, 0])
        .ints("nodes_falsenodeids", &[2, 0, 0])
}

/// Weights of nodes and outputs.
fn weights(case: Case, start: &str, places: &[(i64, i64)], weights: &[f32]) -> Case {
    let nodes: Vec<_> = places.iter().map(|(node, _)| *node).collect();
    let outputs: Vec<_> = places.iter().map(|(_, output)| *output).collect();
    case.ints(&format!("{start}_treeids"), &vec![0; places.len()])
        .ints(&format!("{start}_nodeids"), &nodes)
        .ints(&format!("{start}_ids"), &outputs)
        .floats(&format!("{start}_weights"), weights)
}

fn regressor(places: &[(i64, i64)], values: &[f32]) -> Case {
    weights(stump(ml_case("TreeEnsembleRegressor", 3)), "target", places, values)
}

fn classifier(places: &[(i64, i64)], values: &[f32], labels: &[i64], transform: &str) -> Case {
    let case = stump(ml_case("TreeEnsembleClassifier", 3)).outputs(2);
    weights(case, "class", places, values)
        .ints("classlabels_int64s", labels)
        .text("post_transform", transform)
}

/// Answers the rows -1 and 1.
fn answer(case: &Case) -> (Vec<i64>, Vec<f32>) {
    let mut outputs = case.run(&[tensor(&[2, 1], &[-1.0_f32, 1.0])]).unwrap();
    let scores = outputs.remove(1).into_values().unwrap();
    (outputs.remove(0).into_values().unwrap(), scores)
}

fn is_close(got: &[f32], expected: &[f32]) -> bool {
    got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn leaves_are_summed_onto_the_base() {
    let case = regressor(&[(1, 0), (2, 1), (2, 0)], &[1.0, 2.0, 3.0])
        .int("n_targets", 2)
        .floats("base_values", &[10.0, 20.0]);
    let got = case.output(&[tensor(&[2, 1], &[0.0_f32, f32::NAN])]);
    assert_eq!(got, tensor(&[2, 2], &[11.0_f32, 20.0, 13.0, 22.0]));
    assert_eq!(case.values::<f32>(&[tensor(&[1, 1], &[1_i64])]), [13.0, 22.0]);
}

#[test]
fn rows_may_be_longer_than_the_nodes_ask_for() {
    let case = regressor(&[(1, 0), (2, 0)], &[1.0, 2.0]);
    let rows = tensor(&[2, 3], &[-1.0_f32, 9.0, 9.0, 1.0, -9.0, -9.0]);
    assert_eq!(case.values::<f32>(&[rows]), [1.0, 2.0]);
    let text = case.error(&[tensor(&[2, 0], &[0.0_f32; 0])]);
    assert_eq!(text, "rows of 0 numbers where the model takes 1");
}

#[test]
fn nan_follows_true_where_the_node_says_so() {
    let case = regressor(&[(1, 0), (2, 0)], &[1.0, 2.0])
        .ints("nodes_missing_value_tracks_true", &[1, 0, 0]);
    assert_eq!(case.values::<f32>(&[tensor(&[1, 1], &[f32::NAN])]), [1.0]);
}

#[test]
fn doubles_are_compared_as_doubles() {
    let thresholds = TensorProto {
        dims: vec![3],
        data_type: 11,
        double_data: vec![0.1, 0.0, 0.0],
        ..TensorProto::default()
    };
    let case = |tree| {
        ml_case("TreeEnsembleRegressor", 3)
            .ints("nodes_treeids", &[7, 7, 7])
            .ints("nodes_nodeids", &[0, 1, 2])
            .ints("nodes_featureids", &[0, 0, 0])
            .tensor("nodes_values_as_tensor", thresholds.clone())
            .texts("nodes_modes", &["BRANCH_LT", "LEAF", "LEAF"])
            .ints("nodes_truenodeids", &[1, 0, 0])
            .ints("nodes_falsenodeids", &[2, 0, 0])
            .ints("target_treeids", &[tree, tree])
            .ints("target_nodeids", &[1, 2])
            .ints("target_ids", &[0, 0])
            .floats("target_weights", &[1.0, 2.0])
    };
    let rows = tensor(&[2, 1], &[0.1_f64, 0.1_f64.next_down()]);
    assert_eq!(case(7).values::<f32>(&[rows]), [2.0, 1.0]);
    let text = case(0).error(&[tensor(&[1, 1], &[0.1_f64])]);
    assert!(text.ends_with("tree 0 has no node 1, which has a weight"), "{text}");
    let text = case(7).error(&[tensor(&[1, 1], &[0.1_f32])]);
    assert!(text.contains("nodes_values_as_tensor"), "{text}");
}

#[test]
fn logistic_is_applied_to_a_single_target() {
    let case = regressor(&[(1, 0), (2, 0)], &[2.0, -2.0]).text("post_transform", "LOGISTIC");
    let got = case.values::<f32>(&[tensor(&[2, 1], &[-1.0_f32, 1.0])]);
    assert!(is_close(&got, &[0.880_797, 0.119_203]), "{got:?}");
}

#[test]
fn the_lowest_leaf_and_the_mean_are_answered() {
    let case = |aggregate| {
        ml_case("TreeEnsembleRegressor", 1)
            .ints("nodes_treeids", &[0, 5, 5, 5])
            .ints("nodes_nodeids", &[0, 9, 4, 1])
            .ints("nodes_featureids", &[0, 1, 0, 0])
            .floats("nodes_values", &[0.0, 0.5, 0.0, 0.0])
            .texts("nodes_modes", &["LEAF", "BRANCH_GT", "LEAF", "LEAF"])
            .ints("nodes_truenodeids", &[0, 4, 0, 0])
            .ints("nodes_falsenodeids", &[0, 1, 0, 0])
            .ints("target_treeids", &[0, 5, 5])
            .ints("target_nodeids", &[0, 1, 4])
            .ints("target_ids", &[0, 0, 0])
            .floats("target_weights", &[1.0, -3.0, 4.0])
            .text("aggregate_function", aggregate)
    };
    let rows = || [tensor(&[2, 2], &[0.0_f32, 0.5, 0.0, 0.75])];
    assert_eq!(case("MIN").values::<f32>(&rows()), [-3.0, 1.0]);
    assert_eq!(case("MAX").values::<f32>(&rows()), [1.0, 4.0]);
    assert_eq!(case("AVERAGE").values::<f32>(&rows()), [-1.0, 2.5]);
    assert_eq!(case("SUM").values::<f32>(&rows()), [-2.0, 5.0]);
}

#[test]
fn weights_of_the_first_class_only_are_for_the_second() {
    let (labels, scores) = answer(&classifier(&[(1, 0), (2, 0)], &[0.3, 0.7], &[5, 9], "NONE"));
    assert_eq!(labels, [5, 9]);
    assert!(is_close(&scores, &[0.7, 0.3, 0.3, 0.7]), "{scores:?}");

    let (labels, scores) =
        answer(&classifier(&[(1, 0), (2, 0)], &[-0.3, 2.0], &[5, 9], "LOGISTIC"));
    assert_eq!(labels, [5, 9]);
    assert!(is_close(&scores, &[0.574_442_5, 0.425_557_5, 0.119_203, 0.880_797]), "{scores:?}");

    let case = classifier(&[(1, 0), (2, 0)], &[-0.3, 2.0], &[5, 9], "NONE");
    let (labels, scores) = answer(&case.floats("base_values", &[0.1]));
    assert_eq!(labels, [5, 9]);
    assert!(is_close(&scores, &[0.2, -0.2, -2.1, 2.1]), "{scores:?}");
}

#[test]
fn a_positive_margin_is_the_second_class() {
    let (labels, scores) = answer(&classifier(&[(1, 0), (2, 0)], &[0.3, 0.0], &[5, 9], "LOGISTIC"));
    assert_eq!(labels, [9, 5], "as the probabilities {scores:?} are");
}

#[test]
fn two_classes_with_weights_each_answer_the_higher() {
    let places = [(1, 0), (1, 1), (2, 0), (2, 1)];
    let (labels, scores) = answer(&classifier(&places, &[0.6, 0.4, 0.5, 0.5], &[5, 9], "NONE"));
    assert_eq!((labels, scores), (vec![5, 5], vec![0.6, 0.4, 0.5, 0.5]));
}

/// A forest of trees that all answer these probabilities, as a converter writes it.
fn forest(trees: i64, probabilities: &[f32]) -> Case {
    let each = |of_class: fn(i64, i64) -> i64| -> Vec<i64> {
        let classes = 0..probabilities.len() as i64;
        (0..trees)
            .flat_map(|tree| classes.clone().map(move |class| of_class(tree, class)))
            .collect()
    };
    let share = |probability: &f32| (f64::from(*probability) / trees as f64) as f32;
    let shares: Vec<_> = probabilities.iter().map(share).collect();
    let none = vec![0; trees as usize];
    ml_case("TreeEnsembleClassifier", 3)
        .outputs(2)
        .ints("nodes_treeids", &(0..trees).collect::<Vec<_>>())
        .ints("nodes_nodeids", &none)
        .ints("nodes_featureids", &none)
        .floats("nodes_values", &vec![0.0; trees as usize])
        .texts("nodes_modes", &vec!["LEAF"; trees as usize])
        .ints("nodes_truenodeids", &none)
        .ints("nodes_falsenodeids", &none)
        .ints("class_treeids", &each(|tree, _| tree))
        .ints("class_nodeids", &each(|_, _| 0))
        .ints("class_ids", &each(|_, class| class))
        .floats("class_weights", &shares.repeat(trees as usize))
        .ints("classlabels_int64s", &(0..probabilities.len() as i64).collect::<Vec<_>>())
}

#[test]
fn probabilities_of_a_forest_stay_between_zero_and_one() {
    let sum_of_floats = |trees: i64| (0..trees).map(|_| 1.0 / trees as f32).sum::<f32>();
    assert!((1..=300).any(|trees| sum_of_floats(trees) > 1.0), "floats alone exceed 1");
    for (trees, expected) in (1..=300).flat_map(|trees| {
        [&[1.0, 0.0, 0.0][..], &[0.0, 1.0], &[0.5, 0.5], &[0.25, 0.75]].map(|of| (trees, of))
    }) {
        let mut outputs = forest(trees, expected).run(&[tensor(&[1, 1], &[0.0_f32])]).unwrap();
        let scores: Vec<f32> = outputs.remove(1).into_values().unwrap();
        let labels: Vec<i64> = outputs.remove(0).into_values().unwrap();
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{trees}: {scores:?}");
        assert!(is_close(&scores, expected), "{trees}: {scores:?}");
        assert_eq!(labels, [i64::from(expected[0] < 0.5)], "a tie is the first class");
    }
}

#[test]
fn a_class_without_weights_is_not_answered() {
    let case = || classifier(&[(1, 1), (2, 2)], &[-0.2, -0.4], &[5, 9, 7], "NONE");
    let (labels, scores) = answer(&case());
    assert_eq!((labels, scores), (vec![9, 7], vec![0.0, -0.2, 0.0, 0.0, 0.0, -0.4]));
    let (labels, _) = answer(&case().floats("base_values", &[0.1, 0.2, 0.3]));
    assert_eq!(labels, [7, 9]);
}

#[test]
fn labels_are_texts_too() {
    let case = stump(ml_case("TreeEnsembleClassifier", 1)).outputs(2);
    let case = weights(case, "class", &[(1, 0), (2, 1), (1, 2)], &[1.0, 1.0, 0.5])
        .texts("classlabels_strings", &["ja", "nein", "vielleicht ☂"]);
    let outputs = case.run(&[tensor(&[2, 1], &[-1.0_f32, 1.0])]).unwrap();
    assert_eq!(outputs[0], strings(&[2], &["ja", "nein"]));
}

fn ensemble(modes: &[u8], splits: &[f32]) -> Case {
    let floats = |values: &[f32]| TensorProto {
        dims: vec![values.len() as i64],
        data_type: 1,
        float_data: values.to_vec(),
        ..TensorProto::default()
    };
    let modes = TensorProto {
        dims: vec![modes.len() as i64],
        data_type: 2,
        raw_data: Some(modes.to_vec().into()),
        ..TensorProto::default()
    };
    ml_case("TreeEnsemble", 5)
        .tensor("nodes_modes", modes)
        .tensor("nodes_splits", floats(splits))
        .tensor("leaf_weights", floats(&[1.0, 2.0, 4.0]))
        .tensor("membership_values", floats(&[3.0, 5.0, f32::NAN]))
}

#[test]
fn branches_and_leaves_are_listed_apart() {
    let case = ensemble(&[0, 6], &[0.5, 0.0])
        .ints("nodes_featureids", &[0, 1])
        .ints("nodes_truenodeids", &[0, 1])
        .ints("nodes_trueleafs", &[1, 1])
        .ints("nodes_falsenodeids", &[1, 2])
        .ints("nodes_falseleafs", &[0, 1])
        .ints("leaf_targetids", &[0, 0, 0])
        .ints("tree_roots", &[0]);
    let rows = tensor(&[4, 2], &[0.5_f32, 3.0, 0.75, 3.0, 0.75, 4.0, f32::NAN, 5.0]);
    assert_eq!(case.values::<f32>(&[rows]), [1.0, 2.0, 4.0, 2.0]);
}

#[test]
fn hostile_lists_are_refused() {
    let case = |roots: &[i64], children: &[i64], leafs: &[i64]| {
        let case = ensemble(&[0], &[0.5])
            .ints("nodes_featureids", &[0])
            .ints("nodes_truenodeids", children)
            .ints("nodes_trueleafs", leafs)
            .ints("nodes_falsenodeids", &[1])
            .ints("nodes_falseleafs", &[1])
            .ints("leaf_targetids", &[0, 0, 0])
            .ints("tree_roots", roots);
        case.error(&[tensor(&[1, 1], &[0.0_f32])])
    };
    assert!(case(&[0], &[0], &[0]).ends_with("two splits or roots lead to node 0"));
    assert!(case(&[0, 0], &[0], &[1]).ends_with("two splits or roots lead to node 0"));
    assert!(case(&[1], &[0], &[1]).ends_with("there is no node 1"));
    assert!(case(&[-1], &[0], &[1]).ends_with("\"tree_roots\" has the value -1"));
    assert!(case(&[0], &[9], &[1]).ends_with("there is no leaf 9"));
    assert!(case(&[0], &[0, 1], &[1]).contains("have lengths"));

    let text = |case: &Case| case.error(&[tensor(&[1, 1], &[0.0_f32])]);
    let cycle = ml_case("TreeEnsembleRegressor", 3)
        .ints("nodes_treeids", &[0, 0])
        .ints("nodes_nodeids", &[0, 1])
        .ints("nodes_featureids", &[0, 0])
        .floats("nodes_values", &[0.0, 0.0])
        .texts("nodes_modes", &["BRANCH_LEQ", "BRANCH_LEQ"])
        .ints("nodes_truenodeids", &[1, 0])
        .ints("nodes_falsenodeids", &[1, 0]);
    assert!(text(&cycle).ends_with("tree 0: its nodes form a cycle"));
    let places = [(1, 0), (2, 1)];
    assert!(text(&regressor(&places, &[1.0, 2.0])).ends_with("a leaf is for output 1, of 1"));
    assert!(text(&regressor(&places, &[1.0])).contains("the attributes target_* have lengths"));
    let negative = text(&regressor(&[(1, -1)], &[1.0]));
    assert!(negative.ends_with("\"target_ids\" has the value -1"), "{negative}");
    let many = regressor(&[(1, 0)], &[1.0]).int("n_targets", -1);
    assert!(text(&many).contains("n_targets"));
}
