use super::super::objective::Objective;
use super::*;

const NAN: f64 = f64::NAN;

#[test]
fn without_missing_values_in_training_nan_is_zero() {
    let model = open(data!("missing_none"));
    assert_eq!(predict(&*model, &[NAN, 0.0, 9.0]), [0.0, 0.0, 1.0]);
}

#[test]
fn zeros_are_missing_up_to_the_librarys_bound() {
    let model = open(data!("missing_zero"));
    let missing = predict(&*model, &[0.0, -0.0, 1e-35, -1e-36, NAN]);
    assert_near(&missing, &[6.0; 5], 1e-12);
    let present = predict(&*model, &[1.1e-35, 1e-34, 1.0, -1e-34]);
    assert_near(&present, &[1.0, 1.0, 1.0, -1.5], 1e-12);
}

#[test]
fn nan_takes_the_learned_side() {
    let model = open(data!("missing_nan"));
    let answers = predict(&*model, &[NAN, 1.0, 2.0, 3.0, 0.0]);
    assert_near(&answers, &[5.0, 0.0, 1.0, 5.0, 0.0], 1e-12);
}

#[test]
fn thresholds_and_rows_are_doubles() {
    let model = open(data!("doubles"));
    let threshold = 1_000.000_195_000_000_1_f64;
    assert_eq!(predict(&*model, &[threshold, threshold.next_up()]), [0.0, 1.0]);
}

#[test]
fn categories_that_are_not_listed_go_right() {
    let model = open(data!("categories"));
    let listed = predict(&*model, &[0.0, 3.0, 31.0, -0.5, 0.9]);
    assert_near(&listed, &[0.0, 6.8, 10.2439, 0.0, 0.0], 1e-4);
    let others = [70.0, 3e9, 1e10, -1.0, f64::INFINITY, f64::NEG_INFINITY, NAN, 1e300];
    assert_near(&predict(&*model, &others), &[10.243_902_439_024_39; 8], 1e-12);
}

#[test]
fn trees_of_one_leaf_have_empty_lists() {
    let model = open(data!("one_leaf"));
    assert_eq!(predict(&*model, &[0.0, 1e300, NAN]), [199.5; 3]);
}

#[test]
fn the_mean_of_a_forest_goes_through_the_last_step() {
    let model = open(data!("forest_binary"));
    let response = model.predict(&matrix(1, &[10.0, 90.0])).unwrap();
    let probabilities = output(&response, "probabilities").view::<f64>().unwrap().to_vec();
    assert_near(&probabilities, &[0.880_880, 0.119_120, 0.119_118, 0.880_882], 1e-6);
    assert_eq!(output(&response, "label").view::<i64>().unwrap().to_vec(), [0, 1]);

    let answers = predict(&*open(data!("forest_poisson")), &[10.0, 90.0]);
    assert_near(&answers, &[1.052_175, 3.904_046], 1e-6);
}

#[test]
fn linear_leaves_fall_back_to_their_value_where_a_feature_is_nan() {
    let model = open(data!("linear"));
    let response = model.predict(&matrix(2, &[50.0, 3.0, NAN, 3.0])).unwrap();
    let answers = output(&response, "prediction").view::<f64>().unwrap().to_vec();
    assert_near(&answers, &[51.674_724_745_489_4, 41.646_203_923_105_915], 1e-12);
}

#[test]
fn older_files_lack_some_lines() {
    let text = data!("categories");
    let is_new = |line: &&str| !line.starts_with("is_linear") && !line.starts_with("tree_sizes");
    let lines: Vec<_> = text.lines().filter(is_new).collect();
    for version in ["v2", "v3"] {
        let older = lines.join("\n").replace("version=v4", &format!("version={version}"));
        let older = older.replace("feature_importances:", "feature importances:");
        let values = [0.0, 3.0, 31.0, 70.0, NAN];
        assert_eq!(predict(&*open(&older), &values), predict(&*open(text), &values));
    }
}

#[test]
fn both_line_ends_are_read() {
    let text = data!("categories");
    let model = open(&text.replace('\n', "\r\n"));
    let values = [0.0, 3.0, 31.0, 70.0, NAN];
    assert_eq!(predict(&*model, &values), predict(&*open(text), &values));
}

#[test]
fn an_objective_of_the_callers_own_gives_the_sum() {
    let answers = predict(&*open(data!("custom")), &[10.0, 50.0]);
    assert_eq!(answers, [0.899_999_985_389_019_5, 7.813_580_223_770_789]);
}

#[test]
fn a_ranking_gives_scores() {
    let answers = predict(&*open(data!("ranking")), &[10.0, 50.0, 90.0]);
    let expected = [-3.005_763_065_573_749, -0.284_249_591_080_572_35, 2.721_513_474_493_177_5];
    assert_eq!(answers, expected);
}

#[test]
fn objectives_end_with_their_last_step() {
    let values = [10.0, 50.0, 90.0];
    let answers = |text| predict(&*open(text), &values);
    let lambda = [0.151_605_865_206_014_8, 1.251_599_886_958_828_5, 1.976_077_034_427_876_4];
    assert_near(&answers(data!("entropy_lambda")), &lambda, 1e-12);
    let entropy = [0.140_673_095_743_231_28, 0.713_953_207_456_78, 0.861_388_057_112_275_4];
    assert_near(&answers(data!("entropy")), &entropy, 1e-12);
    let square = [-12.050_193_939_953_14, 20.363_915_458_189_236, 47.364_741_834_852_1];
    assert_near(&answers(data!("square")), &square, 1e-12);
}

#[test]
fn last_steps_are_those_of_the_library() {
    let step = |line, outputs, sums: &[f64]| {
        let mut row = sums.to_vec();
        Objective::parse(Some(line), outputs).unwrap().last_step.apply(&mut row);
        row
    };
    assert_near(&step("cross_entropy_lambda", 1, &[-1.867_216]), &[0.143_714], 1e-6);
    assert_near(&step("regression sqrt", 1, &[-5.229_134]), &[-27.343_838], 1e-5);
    assert_near(&step("quantile sqrt", 1, &[-2.0]), &[-4.0], 0.0);
    assert_near(&step("huber sqrt", 1, &[-2.0]), &[-2.0], 0.0);
    assert_near(&step("tweedie", 1, &[1.0]), &[std::f64::consts::E], 1e-15);
    assert_near(&step("binary sigmoid:1", 1, &[0.0]), &[0.5], 0.0);
    let sums = [1.254_134, -0.387_726, -1.254_134];
    let separate = step("multiclassova num_class:3 sigmoid:2.5", 3, &sums);
    assert_near(&separate, &[0.958_327, 0.275_017, 0.041_673], 1e-6);
    let large = step("multiclass num_class:3", 3, &[-2000.0, 2000.0, 1000.0]);
    assert_eq!(large, [0.0, 1.0, 0.0]);
}

#[test]
fn classifiers_answer_labels_and_probabilities() {
    let model = open_with(data!("multiclass"), r#"{"classes": ["ja", "nein", "vielleicht ☂"]}"#);
    let response = model.predict(&matrix(1, &[10.0, 50.0, 90.0])).unwrap();
    assert_eq!(output(&response, "label").strings().unwrap(), ["ja", "nein", "vielleicht ☂"]);
    let probabilities = output(&response, "probabilities").view::<f64>().unwrap();
    assert_eq!(probabilities.shape(), [3, 3]);
    let first = [0.761_923_338_943_568_3, 0.143_657_101_103_596, 0.094_419_559_952_835_55];
    assert_near(&probabilities.to_vec()[..3], &first, 1e-12);

    let model = open_with(data!("one_versus_all"), r#"{"classes": [-7, 12, 1099511627776]}"#);
    let response = model.predict(&matrix(1, &[10.0, 50.0, 90.0])).unwrap();
    let labels = output(&response, "label").view::<i64>().unwrap().to_vec();
    assert_eq!(labels, [-7, 12, 1 << 40]);
}

#[test]
fn the_metadata_describes_inputs_outputs_and_properties() {
    let model = open_with(data!("multiclass"), r#"{"description": "Thirds", "missing": -999}"#);
    let metadata = model.metadata();
    let property = |name: &str| {
        let found = metadata.properties.iter().find(|property| property.name == name).unwrap();
        found.value.as_text().unwrap().to_owned()
    };
    assert_eq!(metadata.description, "Thirds");
    assert_eq!(metadata.inputs[0].shape, [-1, 1]);
    let outputs: Vec<_> = metadata.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(outputs, ["label", "probabilities"]);
    assert_eq!(property("feature_names"), r#"["Column_0"]"#);
    assert_eq!(property("classes"), "[0,1,2]");
    assert_eq!(property("objective"), "multiclass num_class:3");
    assert_eq!(property("library"), "LightGBM, format v4");
}

#[test]
fn another_value_may_stand_for_a_missing_one() {
    let model = open_with(data!("missing_nan"), r#"{"missing": -999}"#);
    assert_near(&predict(&*model, &[-999.0, -998.0]), &[5.0, 0.0], 1e-12);
}
