use super::*;

/// Asserts that a change of the documented file is refused with these words.
fn refused(from: &str, to: &str, words: &str) {
    let changed = documented().replacen(from, to, 1);
    assert_ne!(changed, documented(), "{from} is not in the file");
    let said = refusal(&changed);
    assert!(said.contains(words), "{said:?} does not say {words:?}");
    assert!(said.len() < 400 && !said.contains(char::is_control), "{said:?}");
}

#[test]
fn other_versions_and_fields_are_named() {
    refused("\"version\": 1", "\"version\": 2", "of version \"2\"");
    refused("\"version\": 1", "\"version\": 2, \"shapes\": []", "of version \"2\"");
    refused("\"version\": 1", "\"version\": -1", "of version \"-1\"");
    refused("\"objective\"", "\"objectives\"", "objectives");
    refused("\"feature\"", "\"features\"", "features");
    refused("\"logistic\"", "\"probit\"", "probit");
    refused("\"trees\"", "\"baseline\": \"1\", \"trees\"", "duplicate field");
    refused("}\n  ]\n}", "", "EOF");
    let long = "\\u0007x".repeat(10_000);
    let said = refusal(&documented().replace("objective", &long));
    assert!(said.len() < 1000 && !said.contains(char::is_control), "{said:?}");
}

#[test]
fn circles_and_numbers_out_of_range_are_refused() {
    let left = "\"left\": \"1 0 3 0 0\"";
    for (children, words) in [
        ("0 0 3 0 0", "two splits lead to node 0"),
        ("2 0 3 0 0", "two splits lead to node 2"),
        ("1 0 0 0 0", "two splits lead to node 0"),
        ("5 0 3 0 0", "node 5, of 5"),
        ("18446744073709551615 0 3 0 0", "node 18446744073709551615"),
        ("18446744073709551616 0 3 0 0", "left is no number"),
        ("-1 0 3 0 0", "left is no number"),
        ("1 0 3 0", "left has 4 of 5 numbers"),
        ("1 0 3 0 0 0", "left has 6 of 5 numbers"),
        ("", "left has 0 of 5 numbers"),
    ] {
        refused(left, &format!("\"left\": \"{children}\""), words);
    }
    refused("\"1 -1 0 -1 -1\"", "\"1 -1 2 -1 -1\"", "feature 2, of 2");
    refused("\"1 -1 0 -1 -1\"", "\"1 -1 -2 -1 -1\"", "feature below -1");
    refused("\"1 -1 0 -1 -1\"", "\"\"", "number has 5 of 0");
    refused("\"0 0 1 0 0\"", "\"0 0 2 0 0\"", "missing_left 2");
    refused("62.5", "62,5", "decimal comma");
    refused("-0.25", "-0.25 1", "not whole rounds");
    refused("-0.25", "", "not whole rounds");
    refused("-0.25", "wide", "baseline is no number");
    for number in ["NaN", "inf", "-inf"] {
        refused("-0.25", number, "baseline has a number that is not finite");
    }
    refused("62.5", "NaN", "node 2 has the number NaN");
    refused("-0.75", "NaN", "node 3 has the number NaN");
}

#[test]
fn names_of_columns_and_classes_are_different() {
    refused("\"area\"", "\"city\"", "two columns are called \"city\"");
    refused("\"cheap\"", "\"dear\"", "class 1 has the name of another");
}

#[test]
fn sets_belong_to_one_split_and_to_categories() {
    let set = "\"set\": \"0 -1 -1 -1 -1\"";
    refused(set, "\"set\": \"1 -1 -1 -1 -1\"", "set 1, which there is not");
    refused(set, "\"set\": \"-2 -1 -1 -1 -1\"", "set -2");
    refused(set, "\"set\": \"9223372036854775807 -1 -1 -1 -1\"", "set 9223372036854775807");
    refused(set, "\"set\": \"0 -1 0 -1 -1\"", "no categories");
    refused(set, "\"set\": \"0 -1\"", "set has 2 of 5");
    refused("[\"2\"]", "[\"4294967296\"]", "sets is no number");
    let twice = documented()
        .replace("1 -1 0 -1 -1", "1 -1 1 -1 -1")
        .replace(set, "\"set\": \"0 -1 0 -1 -1\"");
    assert!(refusal(&twice).contains("another split has named"));
}

#[test]
fn classes_and_columns_must_fit() {
    refused("[\"cheap\", \"dear\"]", "[\"cheap\"]", "1 classes are named, and the model has 2");
    refused("[\"cheap\", \"dear\"]", "[\"cheap\", 2]", "neither all whole numbers nor all texts");
    refused("\"logistic\"", "\"exponential\"", "gives no probabilities");
    refused("[\"Bern\", \"Zürich\"]", "[\"Bern\", 1]", "column \"city\"");
    refused("[\"Bern\", \"Zürich\"]", "[\"Bern\", \"Bern\"]", "twice");
    refused(
        r#"[{"name": "area"}, {"name": "city", "categories": ["Bern", "Zürich"]}]"#,
        "[]",
        "feature",
    );
    let empty = r#"{"format": "wardian-trees", "version": 1, "columns": [], "last_step": "none",
        "baseline": "1", "trees": []}"#;
    assert!(refusal(empty).contains("no columns"));
}

#[test]
fn a_deep_tree_and_deep_json_end_soon() {
    let count = 100_000;
    let list = |split: &dyn Fn(usize) -> String, leaf: &str| {
        let splits = (0..count).map(split);
        splits.chain((0..=count).map(|_| leaf.to_owned())).collect::<Vec<_>>().join(" ")
    };
    let last = |index: usize| if index + 1 < count { index + 1 } else { 2 * count };
    let tree = format!(
        r#"{{"feature": "{}", "number": "{}", "left": "{}", "right": "{}", "missing_left": "{}"}}"#,
        list(&|_| "0".into(), "-1"),
        list(&|_| "1".into(), "1"),
        list(&|index| last(index).to_string(), "0"),
        list(&|index| (count + index).to_string(), "0"),
        list(&|_| "1".into(), "0"),
    );
    let file = |trees: &str| {
        format!(
            r#"{{"format": "wardian-trees", "version": 1, "columns": [{{"name": "x"}}],
            "last_step": "none", "baseline": "0", "trees": [{trees}]}}"#
        )
    };
    assert!(refusal(&file(&tree)).contains("deeper than"));
    assert!(refusal(&file(&"[".repeat(1_000_000))).len() < 400);
    let nested = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let nested = documented().replace(r#"["Bern", "Zürich"]"#, &format!("[{nested}]"));
    assert!(refusal(&nested).len() < 400);

    let leaf = r#"{"feature":"-1","number":"1","left":"0","right":"0","missing_left":"0"}"#;
    let many = file(&vec![leaf; 1_000_000].join(","));
    let response = open(&many).predict(&request(vec![numbers("features", &[0.0])])).unwrap();
    assert_near(output(&response, "prediction"), &[1e6]);
}
