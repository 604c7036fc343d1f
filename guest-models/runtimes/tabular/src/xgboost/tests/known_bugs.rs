//! Cases that other programs are known to compute differently from the library.

use serde_json::json;

use super::*;

#[test]
fn a_value_at_the_threshold_goes_right_in_float32() {
    let below = f32::from_bits(0.41_f32.to_bits() - 1);
    assert_eq!(
        predictions(data!("threshold.json"), &[0.41, below, 0.40, 0.41_f64 as f32]),
        [1.0, 0.0, 0.0, 1.0]
    );
}

#[test]
fn zero_is_not_missing_though_training_was_sparse() {
    assert_eq!(predictions(data!("sparse_zero.json"), &[0.0, -0.0, f32::NAN]), [1.5, 1.5, 5.0]);
}

#[test]
fn category_codes_are_those_of_the_library() {
    let known = [0.0, 3.0, 31.0, 32.0, 63.0, 64.0, 69.0];
    let unknown = [70.0, 500.0, 3e9, -1.0, -0.5];
    let others = [0.9, 31.9, f32::NAN];
    let found = |codes: &[f32]| -> Vec<f32> {
        let rounded = predictions(data!("categories.json"), codes);
        rounded.into_iter().map(|value| (value * 1e5).round() / 1e5).collect()
    };
    assert_eq!(found(&known), [0.0, 6.0, 10.0, 12.0, 9.0, 11.0, 8.0]);
    assert_eq!(found(&unknown), [12.0; 5]);
    assert_eq!(found(&others), [0.0, 10.0, 11.0]);
    assert_eq!(found(&[16_777_215.0, 16_777_216.0, f32::INFINITY, f32::NEG_INFINITY]), [12.0; 4]);
}

#[test]
fn files_of_1_x_lack_fields_and_have_a_plain_base_score() {
    assert_near(&second(data!("version_1.json"), &[0.1, 0.9]), &[0.066_838_8, 0.973_755_5]);
}

#[test]
fn dart_weights_count_wherever_they_stand() {
    let expected = [0.746_49, 5.909_14];
    for file in [data!("dart.json"), data!("dart_as_gbtree.json")] {
        let found = predictions(file, &[0.1, 0.9]);
        assert!(found.iter().zip(expected).all(|(one, two)| (one - two).abs() < 5e-6), "{found:?}");
    }
    let inside = changed(data!("dart_as_gbtree.json"), |document| {
        let booster = &mut document["learner"]["gradient_booster"];
        let weights = booster["weight_drop"].take();
        booster.as_object_mut().unwrap().remove("weight_drop");
        booster["model"]["weight_drop"] = weights;
    });
    assert_eq!(
        predictions(&inside, &[0.1, 0.9]),
        predictions(data!("dart_as_gbtree.json"), &[0.1, 0.9])
    );
}

#[test]
fn an_estimator_asks_up_to_its_best_round_and_a_booster_asks_all() {
    let rows = [0.1, 0.9];
    assert_near(&second(data!("stopped_estimator.json"), &rows), &[0.815_163_7, 0.133_552_43]);
    assert_near(&second(data!("stopped_booster.json"), &rows), &[0.856_832_3, 0.050_426_95]);
}

#[test]
fn vector_leaves_are_found_by_their_number() {
    let response = ask_one_column(&*open(data!("vector_leaves.json")), &[0.1, 0.9]);
    assert_eq!(output::<f32>(&response, "prediction"), [0.0, 0.0, 1.0, 1.0, -2.0, 2.0]);
    assert_eq!(response.outputs[0].shape, [2, 3]);
}

#[test]
fn vector_leaves_of_2_x_are_those_of_the_nodes() {
    let old = changed(data!("vector_leaves.json"), |document| {
        document["version"] = json!([2, 1, 0]);
        let tree = &mut model(document)["trees"][0];
        tree["base_weights"] = json!([9, 9, 9, 0, 0, 1, 1, -2, 2]);
        tree["right_children"] = json!([2, -1, -1]);
        tree.as_object_mut().unwrap().remove("leaf_weights");
    });
    let response = ask_one_column(&*open(&old), &[0.1, 0.9]);
    assert_eq!(output::<f32>(&response, "prediction"), [0.0, 0.0, 1.0, 1.0, -2.0, 2.0]);
}

#[test]
fn trees_of_one_leaf_answer_everywhere_the_same() {
    assert_near(&predictions(data!("one_leaf.json"), &[-1e30, f32::NAN, 5.0]), &[2.693_535_3; 3]);
}

#[test]
fn the_last_step_of_an_objective_is_taken() {
    let hinge = ask_one_column(&*open(data!("hinge.json")), &[0.1, 0.9]);
    assert_eq!(output::<i64>(&hinge, "label"), [0, 1]);
    assert_eq!(output::<f32>(&hinge, "probabilities"), [1.0, 0.0, 0.0, 1.0]);

    let softmax = ask_one_column(&*open(data!("softmax.json")), &[0.1, 0.5, 0.9]);
    assert_eq!(output::<i64>(&softmax, "label"), [0, 1, 2]);

    assert_near(&predictions(data!("aft.json"), &[0.1, 0.9]), &[0.651_528_2, 0.722_728_1]);
}

#[test]
fn softmax_of_large_scores_is_no_nan() {
    let large = changed(data!("softprob.json"), |document| {
        for tree in model(document)["trees"].as_array_mut().unwrap() {
            let is_leaf: Vec<bool> = tree["left_children"]
                .as_array()
                .unwrap()
                .iter()
                .map(|child| child.as_i64() == Some(-1))
                .collect();
            let conditions = tree["split_conditions"].as_array_mut().unwrap();
            for (condition, _) in conditions.iter_mut().zip(is_leaf).filter(|(_, is)| *is) {
                *condition = json!(condition.as_f64().unwrap() * 700.0);
            }
        }
    });
    let response = ask_one_column(&*open(&large), &[0.5]);
    assert_eq!(output::<f32>(&response, "probabilities"), [0.0, 1.0, 0.0]);
}

#[test]
fn names_may_have_any_characters() {
    let named = open(data!("names.json"));
    let nameless = changed(data!("names.json"), |document| {
        document["learner"]["feature_names"] = json!([]);
    });
    let rows: [&[f32]; 2] = [&[0.1, 0.1, 0.1], &[0.9, 0.9, 0.9]];
    let prediction = |predictor| output::<f32>(&ask(predictor, &rows), "prediction");
    assert_eq!(prediction(&*named), prediction(&*open(&nameless)));

    let metadata = named.metadata();
    let property = metadata.properties.iter().find(|property| property.name == "feature_names");
    let names: Vec<String> =
        serde_json::from_str(property.and_then(|found| found.value.as_text()).unwrap()).unwrap();
    assert_eq!(names, ["größe \"m²\"", "back\\slash\n", "価格 😀"]);
}

#[test]
fn the_content_decides_what_a_file_is() {
    // The host gives no name at all.
    assert_eq!(predictions(data!("threshold.ubj"), &[0.40, 0.41]), [0.0, 1.0]);
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let marked = [b"\xEF\xBB\xBF", data!("threshold.json")].concat();
    assert_eq!(predictions(&marked, &[0.40, 0.41]), [0.0, 1.0]);
}

#[test]
fn a_tree_for_an_output_beyond_the_last_is_refused() {
    let wrong = changed(data!("threshold.json"), |document| {
        model(document)["tree_info"] = json!([3]);
    });
    let text = "tree_info says that tree 0 is for output 3, of 1";
    assert_eq!(refusal(&wrong), text);
}

#[test]
fn the_number_that_is_missing_is_in_metadata_json() {
    let predictor = open_with(data!("sparse_zero.json"), r#"{"missing": -999}"#);
    let response = ask_one_column(&*predictor, &[-999.0, f32::NAN, 0.0]);
    assert_eq!(output::<f32>(&response, "prediction"), [5.0, 5.0, 1.5]);
    // Otherwise it is a number as any other.
    assert_eq!(predictions(data!("sparse_zero.json"), &[-999.0]), [1.5]);
}
