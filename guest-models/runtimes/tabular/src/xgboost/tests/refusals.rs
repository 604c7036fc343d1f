//! Refusals, by name.

use serde_json::json;

use super::*;

/// Checks that a changed file is refused with a text that contains another.
fn assert_refused(file: &[u8], contains: &str, change: impl FnOnce(&mut Value)) {
    let text = refusal(&changed(file, change));
    assert!(text.contains(contains), "{text:?} does not contain {contains:?}");
}

#[test]
fn an_unknown_field_is_refused_by_name() {
    let file = data!("threshold.json");
    assert_refused(file, "\"shrinkage\" of the file", |file| file["shrinkage"] = json!(1));
    assert_refused(file, "\"shrinkage\" of learner", |file| {
        file["learner"]["shrinkage"] = json!(1);
    });
    assert_refused(file, "\"shrinkage\" of gradient_booster", |file| {
        file["learner"]["gradient_booster"]["shrinkage"] = json!(1);
    });
    assert_refused(file, "\"shrinkage\" of model", |file| model(file)["shrinkage"] = json!(1));
    assert_refused(file, "tree 0: the field \"shrinkage\" of a tree", |file| {
        model(file)["trees"][0]["shrinkage"] = json!(1);
    });
    assert_refused(file, "\"shrinkage\" of learner_model_param", |file| {
        file["learner"]["learner_model_param"]["shrinkage"] = json!("1");
    });
    assert_refused(file, "\"shrinkage\" of objective", |file| {
        file["learner"]["objective"]["shrinkage"] = json!(1);
    });
}

#[test]
fn an_unknown_objective_or_booster_is_refused_by_name() {
    let file = data!("threshold.json");
    assert_refused(file, "the objective \"reg:mine\" is not served", |file| {
        file["learner"]["objective"]["name"] = json!("reg:mine");
    });
    assert_refused(file, "the booster \"gbforest\" is not served", |file| {
        file["learner"]["gradient_booster"]["name"] = json!("gbforest");
    });
}

#[test]
fn null_is_no_threshold_and_no_leaf() {
    let file = data!("threshold.json");
    for place in [0, 2] {
        assert_refused(file, "split_conditions or leaf_weights has null", |file| {
            model(file)["trees"][0]["split_conditions"][place] = json!(null);
        });
    }
}

#[test]
fn two_columns_of_one_name_are_refused() {
    assert_refused(data!("category_names.json"), "two columns are called \"x\"", |file| {
        file["learner"]["feature_names"][0] = json!("x");
    });
}

#[test]
fn a_field_that_is_missing_is_named() {
    let file = data!("threshold.json");
    for field in ["learner_model_param", "objective", "gradient_booster"] {
        assert_refused(file, field, |file| {
            file["learner"].as_object_mut().unwrap().remove(field);
        });
    }
    for field in ["left_children", "right_children", "split_indices", "default_left"] {
        assert_refused(file, field, |file| {
            model(file)["trees"][0].as_object_mut().unwrap().remove(field);
        });
    }
}

#[test]
fn a_dart_without_its_weights_is_refused() {
    assert_refused(data!("dart.json"), "\"weight_drop\" of dart is missing", |file| {
        file["learner"]["gradient_booster"].as_object_mut().unwrap().remove("weight_drop");
    });
    assert_refused(data!("dart.json"), "weight_drop has 5 numbers for 6 trees", |file| {
        let weights = &mut file["learner"]["gradient_booster"]["weight_drop"];
        weights.as_array_mut().unwrap().pop();
    });
}

#[test]
fn what_is_not_a_saved_model_is_refused_with_the_call_that_saves_one() {
    let call = "model.save_model(\"model.json\")";
    let files: [&[u8]; 5] = [
        b"binf\0\0\0?",
        b"[{\"nodeid\": 0, \"leaf\": 0.5}]",
        b"{\"nodeid\": 0, \"leaf\": 0.5}",
        b"booster[0]:\n0:leaf=0.5\n",
        b"{\"Config\": {}, \"Model\": {}}",
    ];
    for file in files {
        assert!(refusal(file).contains(call), "{}", refusal(file));
    }
}

#[test]
fn a_best_round_beyond_the_last_is_refused() {
    assert_refused(data!("stopped_estimator.json"), "best_iteration \"99\"", |file| {
        file["learner"]["attributes"]["best_iteration"] = json!("99");
    });
    assert_refused(data!("stopped_estimator.json"), "best_iteration \"-1\"", |file| {
        file["learner"]["attributes"]["best_iteration"] = json!("-1");
    });
}

#[test]
fn a_field_that_appears_twice_is_refused() {
    let text = String::from_utf8(data!("threshold.json").to_vec()).unwrap();
    let twice = text.replace("\"tree_info\":", "\"tree_info\":[0],\"tree_info\":");
    assert!(refusal(twice.as_bytes()).contains("\"tree_info\" appears twice"));
}

#[test]
fn classes_of_another_number_are_refused() {
    let saved = serde_json::from_str(r#"{"classes": ["a", "b"]}"#).unwrap();
    let error = crate::open(data!("softmax.json"), &saved).err().unwrap();
    assert!(error.to_string().contains("2 classes"), "{error}");
}
