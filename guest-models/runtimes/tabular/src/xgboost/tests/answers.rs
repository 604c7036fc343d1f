//! Objectives, boosters and outputs.

use serde_json::json;

use super::*;

#[test]
fn each_objective_has_its_link_and_its_last_step() {
    let rows = [0.1, 0.9];
    assert_near(&predictions(data!("poisson.json"), &rows), &[0.247_233_55, 0.456_588_5]);
    assert_near(&predictions(data!("gamma.json"), &rows), &[0.135_619_34, 0.511_159_7]);
    assert_near(&predictions(data!("tweedie.json"), &rows), &[0.177_003_49, 0.760_226_85]);
    assert_near(&predictions(data!("cox.json"), &rows), &[8.688_661, 0.433_599_65]);
    assert_near(&predictions(data!("logistic.json"), &rows), &[0.159_812_23, 0.670_449_3]);
    assert_near(&predictions(data!("ranking.json"), &rows), &[-0.598_621_37, 0.598_621_37]);
}

#[test]
fn several_quantiles_are_several_outputs() {
    let response = ask_one_column(&*open(data!("quantiles.json")), &[0.1, 0.9]);
    let expected = [0.0, 0.0, 0.0, 10.0, 10.0, 10.0];
    assert_eq!(output::<f32>(&response, "prediction"), expected);
}

#[test]
fn linear_models_skip_missing_values() {
    let predictor = open(data!("linear.json"));
    let response = ask(&*predictor, &[&[0.1, 0.2], &[f32::NAN, 0.5], &[-3.0, f32::NAN]]);
    let found: Vec<f32> = output(&response, "prediction");
    assert_near(&found, &[1.360_311_6, 1.113_990_3, -5.023_724_6]);
}

#[test]
fn a_round_of_a_forest_has_several_trees() {
    let found = predictions(data!("forest.json"), &[0.1, 0.41, 0.9]);
    assert_near(&found, &[1.788_139_3e-7, 0.999_999_94, 0.999_999_94]);
    let metadata = open(data!("forest.json")).metadata();
    let text = "A model of xgboost 3.2.0: reg:squarederror, 3 trees of 1 rounds";
    assert_eq!(metadata.description, text);
}

#[test]
fn a_model_without_trees_has_no_link() {
    assert_near(&second(data!("no_tree.json"), &[0.1]), &[0.622_459_35]);
    let given = changed(data!("no_tree.json"), |document| {
        document["learner"]["learner_model_param"]["boost_from_average"] = json!("0");
    });
    assert_eq!(second(&given, &[0.1]), [0.5]);
}

#[test]
fn several_labels_have_a_probability_each() {
    let predictor = open(data!("several_labels.json"));
    let response = ask_one_column(&*predictor, &[0.1, 0.9]);
    assert_eq!(output::<i64>(&response, "label"), [0, 1, 1, 0]);
    let found: Vec<f32> = output(&response, "probabilities");
    assert_near(&found, &[0.366_638_1, 0.633_361_9, 0.636_893_15, 0.363_106_85]);
    let shapes: Vec<_> = response.outputs.iter().map(|output| output.shape.clone()).collect();
    assert_eq!(shapes, [[2, 2], [2, 2]]);
}

#[test]
fn classes_have_the_names_of_metadata_json() {
    let names = r#"{"classes": ["ja", "nein", "vielleicht ☂"]}"#;
    let predictor = open_with(data!("softmax.json"), names);
    let response = ask_one_column(&*predictor, &[0.1, 0.5, 0.9]);
    let labels = response.outputs[0].strings().unwrap();
    assert_eq!(labels, ["ja", "nein", "vielleicht ☂"]);

    let predictor = open_with(data!("hinge.json"), r#"{"classes": [-7, 1099511627776]}"#);
    let response = ask_one_column(&*predictor, &[0.1, 0.9]);
    assert_eq!(output::<i64>(&response, "label"), [-7, 1 << 40]);
}

#[test]
fn a_file_may_be_either_format() {
    let (text, binary) = (open(data!("threshold.json")), open(data!("threshold.ubj")));
    let format = |predictor: &dyn Predictor| predictor.metadata().properties[0].value.clone();
    assert_eq!(format(&*text).as_text(), Some("xgboost-json"));
    assert_eq!(format(&*binary).as_text(), Some("xgboost-ubjson"));
}

#[test]
fn no_rows_have_no_answers() {
    for file in [data!("threshold.json"), data!("softmax.json"), data!("several_labels.json")] {
        let inputs = vec![Tensor::new::<f32>("features", [0, 1], [])];
        let response = open(file).predict(&request(inputs)).unwrap();
        assert!(response.outputs.iter().all(|output| output.data.is_empty()));
    }
}

#[test]
fn infinite_numbers_are_written_as_words() {
    let text = String::from_utf8(data!("threshold.json").to_vec()).unwrap();
    let words = text.replace("\"base_weights\":[", "\"base_weights\":[NaN,-Infinity,");
    assert_ne!(words, text);
    assert_eq!(predictions(words.as_bytes(), &[0.40, 0.41]), [0.0, 1.0]);

    let leaf = changed(data!("threshold.json"), |document| {
        model(document)["trees"][0]["split_conditions"][2] = json!("INF");
    });
    let leaf = String::from_utf8(leaf).unwrap().replace("\"INF\"", "-Infinity");
    assert_eq!(predictions(leaf.as_bytes(), &[0.40, 0.41]), [0.0, f32::NEG_INFINITY]);
}

#[test]
fn requests_of_another_shape_are_rejected() {
    let predictor = open(data!("threshold.json"));
    for tensor in [
        Tensor::new("features", [2, 2], [0.0_f32; 4]),
        Tensor::new("features", [2], [0.0_f32; 2]),
        Tensor::new("features", [2, 1], [0.0_f64; 2]),
        Tensor::new("rows", [2, 1], [0.0_f32; 2]),
    ] {
        let answer = predictor.predict(&request(vec![tensor]));
        assert!(matches!(answer, Err(Error::Rejected(_))), "{answer:?}");
    }
}
