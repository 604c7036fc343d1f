//! Categories that have names.

use wardian_sdk::Datatype;

use super::*;

fn column(name: &str, texts: &[&str]) -> Tensor {
    Tensor::from_strings(name, [texts.len(), 1], texts)
}

fn frame(cities: &[&str], numbers: &[f64], x: &[f32]) -> Vec<Tensor> {
    vec![
        column("city", cities),
        Tensor::new("number", [numbers.len(), 1], numbers.iter().copied()),
        Tensor::new("x", [x.len(), 1], x.iter().copied()),
    ]
}

fn rounded(response: &Response) -> Vec<f32> {
    output::<f32>(response, "prediction").iter().map(|value| value.round()).collect()
}

#[test]
fn columns_with_texts_are_inputs_of_their_own() {
    let predictor = open(data!("category_names.json"));
    let inputs: Vec<_> = predictor
        .metadata()
        .inputs
        .into_iter()
        .map(|input| (input.name, input.datatype, input.shape))
        .collect();
    let expected = [
        ("city".to_owned(), Datatype::Bytes, vec![-1, 1]),
        // Among its categories is 2^40 + 1, which no float32 is.
        ("number".to_owned(), Datatype::Fp64, vec![-1, 1]),
        ("x".to_owned(), Datatype::Fp32, vec![-1, 1]),
    ];
    assert_eq!(inputs, expected);

    let cities = ["Paris", "a,b", "q\"]]", "Bern", "Bern"];
    let numbers = [9.0, 1.0, 5.0, ((1_u64 << 40) + 1) as f64, 5.0];
    let inputs = frame(&cities, &numbers, &[0.0, 0.01, 0.02, 0.03, 0.07]);
    let response = predictor.predict(&request(inputs)).unwrap();
    assert_eq!(rounded(&response), [0.0, 11.0, 22.0, 33.0, 32.0]);
}

#[test]
fn whole_numbers_as_categories_fit_into_the_matrix() {
    let predictor = open(data!("category_numbers.json"));
    let response = ask_one_column(&*predictor, &[9.0, 1.0, 5.0]);
    assert_eq!(rounded(&response), [1.0, 2.0, 4.0]);
    let metadata = predictor.metadata();
    let property = metadata.properties.iter().find(|property| property.name == "categories");
    let categories = property.and_then(|property| property.value.as_text());
    assert_eq!(categories, Some(r#"{"n":[9,1,5]}"#));
}

#[test]
fn an_unknown_category_is_rejected_as_the_library_does() {
    let predictor = open(data!("category_names.json"));
    let rejected = |inputs| match predictor.predict(&request(inputs)) {
        Err(Error::Rejected(text)) => text,
        answer => panic!("{answer:?}"),
    };
    let text = rejected(frame(&["Rome"], &[9.0], &[0.0]));
    assert!(text.starts_with(r#"the column "city" had no category "Rome" in training"#), "{text}");
    for number in [2.0, 9.5, -9.0, f64::INFINITY, 1e300] {
        let text = rejected(frame(&["Paris"], &[number], &[0.0]));
        assert!(text.starts_with(r#"the column "number" had no category"#), "{text}");
    }
    assert!(rejected(frame(&["Paris", "Bern"], &[9.0], &[0.0])).contains("numbers of rows"));
}

#[test]
fn an_empty_text_is_missing_and_so_is_nan() {
    let predictor = open_with(data!("category_names.json"), r#"{"missing": -1}"#);
    let ask = |city, number, x| {
        let response = predictor.predict(&request(frame(&[city], &[number], &[x]))).unwrap();
        output::<f32>(&response, "prediction")
    };
    assert_eq!(ask("", f64::NAN, f32::NAN), ask("", -1.0, -1.0));
}

#[test]
fn names_that_the_library_cut_are_taken_from_metadata_json() {
    let text = refusal(data!("category_names_cut.json"));
    assert!(text.starts_with(r#"the names of the categories of "city" are cut"#), "{text}");

    let metadata = r#"{"categories": {"city": ["Zürich", "価格 😀", "", "x"]}}"#;
    let predictor = open_with(data!("category_names_cut.json"), metadata);
    let inputs = vec![column("city", &["x", "Zürich", "価格 😀", ""])];
    let response = predictor.predict(&request(inputs)).unwrap();
    assert_eq!(rounded(&response), [3.0, 0.0, 1.0, 2.0]);

    for names in [r#"["a", "b"]"#, r#"["a", "b", "c", "c"]"#, r#"["a", 1, 2, 3]"#] {
        let metadata = format!(r#"{{"categories": {{"city": {names}}}}}"#);
        let saved = serde_json::from_str(&metadata).unwrap();
        let error = crate::open(data!("category_names_cut.json"), &saved).err().unwrap();
        assert!(error.to_string().contains("must name the 4 categories"), "{error}");
    }
}
