use super::*;

const NAN: f64 = f64::NAN;
const INFINITY: f64 = f64::INFINITY;

#[test]
fn categories_and_missing_values_are_answered_as_by_scikit_learn() {
    let model = open(include_str!("data/poisson.trees.json"));
    let request = request(vec![
        numbers("number", &[3.0, NAN, 59.5, 1e300, -INFINITY]),
        texts("word", &["Köln", "no category", "unseen", "", "a\"b"]),
        numbers("code", &[4.0, 9.0, -1.5, 77.0, NAN]),
    ]);
    let response = model.predict(&request).unwrap();
    let expected = [
        14.499_208_176_415_515,
        3.675_108_998_917_798_5,
        6.551_692_416_467_619,
        8.142_228_889_504_862,
        6.551_692_416_467_619,
    ];
    assert_near(output(&response, "prediction"), &expected);
}

#[test]
fn three_classes_are_answered_as_by_scikit_learn() {
    let model = open(include_str!("data/softmax.trees.json"));
    let matrix = numbers("features", &[3.0, 60.0, NAN, INFINITY]);
    let response = model.predict(&request(vec![matrix])).unwrap();
    let labels = output(&response, "label").strings().unwrap();
    assert_eq!(labels, ["ja", "nein", "nein", "vielleicht ☂"]);
    let middle = [0.026_275_418_598_454_277, 0.740_616_250_525_651_2, 0.233_108_330_875_894_64];
    let first = [0.721_669_968_271_017_5, 0.245_472_723_149_261_75, 0.032_857_308_579_720_704];
    let last = [0.010_141_524_458_413_6, 0.017_952_070_445_757_92, 0.971_906_405_095_828_6];
    let expected = [first, middle, middle, last].concat();
    assert_near(output(&response, "probabilities"), &expected);
}

#[test]
fn two_classes_are_answered_as_by_scikit_learn() {
    let model = open(include_str!("data/logistic.trees.json"));
    let matrix = numbers("features", &[3.0, 60.0]);
    let response = model.predict(&request(vec![matrix])).unwrap();
    assert_eq!(output(&response, "label").view::<i64>().unwrap().to_vec(), [-7, 12]);
    let expected = [0.649_223_797_238_042, 0.350_776_202_761_958];
    let expected = [expected, [0.076_510_921_368_020_51, 0.923_489_078_631_979_5]].concat();
    assert_near(output(&response, "probabilities"), &expected);
}

#[test]
fn the_documented_file_answers_as_described() {
    let model = open(documented());
    let request = request(vec![
        numbers("area", &[100.0, 62.5, 62.6, NAN, 1.0]),
        texts("city", &["Zürich", "Bern", "Bern", "Bern", "Basel"]),
    ]);
    let response = model.predict(&request).unwrap();
    let sums = [0.25, -1.0, 1.25, -1.0, -1.0_f64];
    let both = |sum: &f64| {
        let second = 1.0 / (1.0 + (-sum).exp());
        [1.0 - second, second]
    };
    let expected: Vec<_> = sums.iter().flat_map(both).collect();
    assert_near(output(&response, "probabilities"), &expected);
    let labels = output(&response, "label").strings().unwrap();
    assert_eq!(labels, ["dear", "cheap", "dear", "cheap", "cheap"]);

    let metadata = model.metadata();
    let inputs = metadata.inputs.iter().map(|input| (&*input.name, input.datatype.to_string()));
    let expected = [("area", "FP64".to_owned()), ("city", "BYTES".to_owned())];
    assert_eq!(inputs.collect::<Vec<_>>(), expected);
}

#[test]
fn the_sum_decides_the_label_where_probabilities_are_equal() {
    let file = |sum: &str| documented().replace("-0.25", sum).replace("0.5 62.5", "0 62.5");
    let label = |sum: &str| {
        let columns = vec![numbers("area", &[1.0]), texts("city", &["Zürich"])];
        let response = open(&file(sum)).predict(&request(columns)).unwrap();
        assert_near(output(&response, "probabilities"), &[0.5, 0.5]);
        output(&response, "label").strings().unwrap()[0].to_owned()
    };
    assert_eq!(["0", "-0", "-1e-300", "1e-300"].map(label), ["cheap", "cheap", "cheap", "dear"]);
}

#[test]
fn a_file_may_have_no_trees() {
    let file = r#"{"format": "wardian-trees", "version": 1, "columns": [{"name": "x"}],
        "last_step": "none", "baseline": "1.5 -2.5", "trees": []}"#;
    let response = open(file).predict(&request(vec![numbers("features", &[1.0, NAN])])).unwrap();
    let prediction = output(&response, "prediction");
    assert_eq!(prediction.shape, [2, 2]);
    assert_eq!(prediction.view::<f64>().unwrap().to_vec(), [1.5, -2.5, 1.5, -2.5]);
}
