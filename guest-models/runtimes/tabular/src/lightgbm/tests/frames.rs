use super::*;

/// A request for the frame's columns `a=b`, `word` and `grade`.
fn frame(words: &[&str], grades: &[&str]) -> Request {
    let shape = [words.len(), 1];
    request(vec![
        Tensor::new("a=b", shape, vec![0.0_f64; words.len()]),
        Tensor::from_strings("word", shape, words),
        Tensor::from_strings("grade", shape, grades),
    ])
}

fn answers(model: &dyn Predictor, request: &Request) -> Vec<f64> {
    let response = model.predict(request).unwrap();
    output(&response, "prediction").view::<f64>().unwrap().to_vec()
}

#[test]
fn words_of_a_frame_are_coded_by_the_file() {
    let model = open(data!("words"));
    let words = ["ä\"]]", "Tree=0", "end of trees", "a,b", "", "unseen"];
    let lows = answers(&*model, &frame(&words, &["low"; 6]));
    assert_near(&lows, &[0.25, 10.0, 20.0, 30.0, 40.0, 0.25], 1e-12);
    let highs = answers(&*model, &frame(&words, &["high"; 6]));
    assert_near(&highs, &[1.25, 11.25, 21.25, 31.0, 41.25, 1.25], 1e-12);
    // An ordered column is one of numbers, in which NaN is 0 here.
    let unknown = answers(&*model, &frame(&["Tree=0"], &["unseen"]));
    assert_near(&unknown, &[10.0], 1e-12);
}

#[test]
fn a_frame_with_words_has_an_input_for_each_column() {
    let metadata = open(data!("words")).metadata();
    let inputs: Vec<_> = metadata
        .inputs
        .iter()
        .map(|input| (input.name.as_str(), input.datatype.to_string(), input.shape.as_slice()))
        .collect();
    let expected = [("a=b", "FP64"), ("word", "BYTES"), ("grade", "BYTES")];
    assert_eq!(inputs, expected.map(|(name, kind)| (name, kind.to_owned(), [-1, 1].as_slice())));
}

#[test]
fn numbers_of_a_frame_are_coded_by_the_file() {
    let model = open(data!("numbers"));
    assert_near(&predict(&*model, &[9.0, 1.0, 5.0, 7.0]), &[1.0, 2.0, 4.0, 2.0], 1e-12);
}

#[test]
fn the_saved_metadata_may_name_the_columns_with_categories() {
    let text = data!("words").replace("[0:3] -1:0:1:2:3:4 [0:1]", "[0:1] -1:0:1:2:3:4 none");
    let text = text.replace(r#", ["low", "high"]"#, "");
    let text = text.replace("[categorical_feature: 1]", "[categorical_feature: 0,1]");
    let said = refusal(&text);
    assert!(said.contains("uncertain of which columns") && said.contains("categorical_columns"));

    let model = open_with(&text, r#"{"categorical_columns": ["word"]}"#);
    let inputs = request(vec![
        Tensor::new("a=b", [1, 1], [0.0_f64]),
        Tensor::from_strings("word", [1, 1], ["a,b"]),
        Tensor::new("grade", [1, 1], [0.0_f64]),
    ]);
    assert_near(&answers(&*model, &inputs), &[30.0], 1e-12);
}

#[test]
fn a_request_that_does_not_fit_is_rejected() {
    let model = open(data!("words"));
    let uneven = request(vec![
        Tensor::new("a=b", [1, 1], [0.0_f64]),
        Tensor::from_strings("word", [2, 1], ["a,b", "x"]),
        Tensor::from_strings("grade", [1, 1], ["low"]),
    ]);
    assert!(matches!(model.predict(&uneven), Err(Error::Rejected(_))));
    let model = open(data!("linear"));
    for request in [matrix(1, &[1.0, 2.0]), matrix(3, &[1.0; 3]), request(Vec::new())] {
        assert!(matches!(model.predict(&request), Err(Error::Rejected(_))));
    }
    assert_eq!(model.predict(&matrix(2, &[])).unwrap().outputs[0].shape, [0]);
}
