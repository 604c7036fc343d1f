use super::*;

/// Asserts that a change of a file is refused with these words.
fn refused(text: &str, from: &str, to: &str, words: &str) {
    let changed = text.replacen(from, to, 1);
    assert_ne!(changed, text, "{from} is not in the file");
    let said = refusal(&changed);
    assert!(said.contains(words), "{said:?} does not say {words:?}");
    assert!(said.len() < 400 && !said.contains(char::is_control), "{said:?}");
}

#[test]
fn decimal_commas_are_named() {
    let linear = data!("linear");
    for key in ["threshold=", "leaf_value=", "leaf_const=", "leaf_coeff="] {
        let line = linear.lines().rfind(|line| line.starts_with(key)).unwrap();
        refused(linear, line, &line.replace('.', ","), "decimal comma");
    }
    refused(data!("forest_binary"), "sigmoid:1.7", "sigmoid:1,7", "decimal comma");
}

#[test]
fn a_file_that_was_cut_is_refused_anywhere() {
    let text = data!("linear");
    let end = text.find("end of trees").unwrap() + "end of trees".len();
    for length in 5..end {
        let said = refusal(&text[..length]);
        assert!(said.len() < 400, "{said}");
    }
    // Without the end the last numbers may still look whole.
    refused(text, &text[text.find("Tree=1").unwrap()..end], "end of trees", "was cut");
}

#[test]
fn a_dump_is_refused_with_the_call_that_saves_the_model() {
    let dump = r#"{"name": "tree", "version": "v4", "num_class": 1, "num_tree_per_iteration": 1}"#;
    assert!(refusal(dump).contains("booster.save_model"));
    assert!(refusal(&dump.replace(", ", ",\n  ")).contains("booster.save_model"));
}

#[test]
fn lists_that_only_training_needs_are_not_cut() {
    let linear = data!("linear");
    for key in ["leaf_weight", "leaf_count", "split_gain", "internal_value", "internal_count"] {
        let line = linear.lines().find(|line| line.starts_with(&format!("{key}="))).unwrap();
        let Some((cut, _)) = line.rsplit_once(' ') else { continue };
        refused(linear, line, cut, &format!("{key} has"));
    }
    let names = linear.lines().find(|line| line.starts_with("feature_names=")).unwrap();
    let (key, list) = names.split_once('=').unwrap();
    let first = list.split(' ').next().unwrap();
    refused(linear, names, &format!("{key}={first} {first}"), "two columns are called");
}

#[test]
fn features_beyond_the_columns_are_refused() {
    let linear = data!("linear");
    refused(linear, "split_feature=0 0", "split_feature=0 2", "feature 2, of 2");
    refused(linear, "split_feature=0 0", "split_feature=-1 0", "split_feature");
    let features = linear.lines().rfind(|line| line.starts_with("leaf_features=")).unwrap();
    refused(linear, features, &features.replace("=0", "=7"), "feature 7, of 2");
    refused(linear, "max_feature_idx=1", "max_feature_idx=2", "max_feature_idx");
    refused(linear, "max_feature_idx=1", "max_feature_idx=18446744073709551615", "each must be");
    refused(linear, "max_feature_idx=1", "max_feature_idx=-2", "max_feature_idx");
}

#[test]
fn circles_and_faulty_children_are_refused() {
    let linear = data!("linear");
    let left = linear.lines().find(|line| line.starts_with("left_child=")).unwrap();
    let with =
        |children: &str, words| refused(linear, left, &format!("left_child={children}"), words);
    with("0 -2", "two splits lead to node 0");
    with("1 1", "two splits lead to node");
    with("1 0", "two splits lead to node");
    with("2 -2", "node 2, of 2 splits and 3 leaves");
    with("1 -4", "node -4, of 2 splits and 3 leaves");
    with("1 -9223372036854775808", "9223372036854775808");
    with("1 99999999999999999999", "left_child");
}

#[test]
fn counts_that_lie_are_refused_without_reserving_memory() {
    let linear = data!("linear");
    for leaves in ["0", "-3", "2", "4", "4294967296", "18446744073709551615", "3x", ""] {
        refusal(&linear.replace("num_leaves=3", &format!("num_leaves={leaves}")));
    }
    let counts = linear.lines().find(|line| line.starts_with("num_features=")).unwrap();
    let many = "num_features=18446744073709551615 18446744073709551615 1";
    refused(linear, counts, many, "leaf_features has");

    let categories = data!("categories");
    let ends = categories.lines().find(|line| line.starts_with("cat_boundaries=")).unwrap();
    let count = categories.lines().find(|line| line.starts_with("num_cat=")).unwrap();
    refused(categories, count, "num_cat=18446744073709551615", "cat_boundaries");
    refused(categories, count, "num_cat=-1", "num_cat");
    refused(categories, ends, &ends.replacen("=0", "=1", 1), "do not ascend");
    refused(categories, ends, &format!("{ends}000"), "cat_threshold");

    let classes = data!("multiclass");
    let all = classes.replace("num_class=3", "num_class=4000000000");
    let all = all.replace("num_tree_per_iteration=3", "num_tree_per_iteration=4000000000");
    assert!(refusal(&all).contains("outputs"));
    let all = all.lines().filter(|line| !line.starts_with("objective")).collect::<Vec<_>>();
    assert!(refusal(&all.join("\n")).contains("whole rounds"));
    refused(classes, "num_tree_per_iteration=3", "num_tree_per_iteration=0", "must be the same");
    refused(classes, "objective=multiclass num_class:3", "objective=binary sigmoid:1", "outputs");
}

#[test]
fn sets_of_categories_are_used_once() {
    let categories = data!("categories");
    let line = categories.lines().find(|line| line.starts_with("threshold=")).unwrap();
    let zeros = line.split(' ').map(|_| "0").collect::<Vec<_>>().join(" ");
    refused(categories, line, &format!("threshold={zeros}"), "names it again");
    let last = zeros.replacen('0', "1e9", 1);
    refused(categories, line, &format!("threshold={last}"), "set of categories 1000000000");
    let last = zeros.replacen('0', "NaN", 1);
    refused(categories, line, &format!("threshold={last}"), "set of categories NaN");
}

#[test]
fn unknown_fields_versions_and_objectives_are_named() {
    let linear = data!("linear");
    refused(linear, "version=v4", "version=v5", "\"v5\"");
    refused(linear, "version=v4\n", "", "the field version is absent");
    refused(linear, "label_index=0", "label_weight=0", "label_weight");
    refused(linear, "shrinkage=", "oblique=", "oblique");
    refused(
        linear,
        "objective=regression",
        "objective=tilted",
        "objective \"tilted\" is not served",
    );
    refused(linear, "objective=regression", "objective=regression beta:2", "beta:2");
    refused(linear, "objective=regression", "objective=binary", "no sigmoid");
    refused(linear, "objective=regression", "objective=binary sigmoid:0", "sigmoid is 0");
    refused(linear, "objective=regression", "objective=binary sigmoid:nan", "sigmoid is NaN");
    refused(linear, "decision_type=2", "decision_type=14", "decision_type 14");
    refused(linear, "is_linear=1", "is_linear=2", "is_linear is \"2\"");
    refused(linear, "num_class=1", "num_class=1\nnum_class=1", "occurs twice");
    refused(linear, "num_leaves=3", "num_leaves=3\nnum_leaves=3", "occurs twice");
}

#[test]
fn categories_of_both_kinds_are_refused() {
    let words = data!("words");
    refused(words, r#""low", "high""#, r#""low", 1"#, "not all texts or all numbers");
    refused(words, r#""low", "high""#, r#""low", "#, "pandas_categorical");
    refused(words, r#""low", "high""#, r#""low", "low""#, "same category twice");
    let long = "\\u0007x".repeat(10_000);
    let said = refusal(&words.replace(r#"["low", "high"]"#, &format!("\"{long}\"")));
    assert!(said.len() < 1000 && !said.contains(char::is_control), "{said:?}");
}

#[test]
fn classes_must_be_as_many_as_the_model_has() {
    let open = |metadata: &str| {
        let saved: SavedMetadata = serde_json::from_str(metadata).unwrap();
        let opened = crate::open(data!("multiclass").as_bytes(), &saved);
        opened.map(|_| ()).map_err(|error| error.to_string()).unwrap_err()
    };
    assert!(open(r#"{"classes": [1, 2]}"#).contains("2 classes are named, and the model has 3"));
    assert!(open(r#"{"classes": [1, 2, "three"]}"#).contains("neither all whole numbers"));
}

#[test]
fn a_million_trees_and_a_deep_one_end_soon() {
    let linear = data!("one_leaf");
    let header = &linear[..linear.find("tree_sizes").unwrap()];
    let tree = "Tree=0\nnum_leaves=1\nnum_cat=0\nleaf_value=1\n\n";
    let file = format!("{header}\n{}end of trees\n", tree.repeat(1_000_000));
    let started = std::time::Instant::now();
    assert_eq!(predict(&*open(&file), &[0.0]), [1_000_000.0]);

    let count = 100_000;
    let list = |item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<Vec<_>>().join(" ");
    let same = |text: &str| vec![text; count].join(" ");
    let deep = format!(
        "{header}\nTree=0\nnum_leaves={}\nnum_cat=0\nsplit_feature={}\nthreshold={}\n\
         left_child={}\nright_child={}\nleaf_value=1 {}\n\nend of trees\n",
        count + 1,
        same("0"),
        same("0.5"),
        list(&|index| if index + 1 < count { (index + 1).to_string() } else { "-1".into() }),
        list(&|index| (-(index as i64) - 2).to_string()),
        same("1"),
    );
    assert!(refusal(&deep).contains("deeper than"));
    assert!(started.elapsed().as_secs() < 60);
}
