//! Files that were made to do harm.

use serde_json::json;

use super::*;

fn assert_refused(contains: &str, change: impl FnOnce(&mut Value)) {
    assert_file_refused(data!("threshold.json"), contains, change);
}

fn assert_file_refused(file: &[u8], contains: &str, change: impl FnOnce(&mut Value)) {
    let text = refusal(&changed(file, change));
    assert!(text.contains(contains), "{text:?} does not contain {contains:?}");
}

fn tree(document: &mut Value) -> &mut Value {
    &mut model(document)["trees"][0]
}

#[test]
fn cycles_and_nodes_with_two_parents_are_refused() {
    assert_refused("two splits lead to node 0", |file| {
        tree(file)["left_children"][0] = json!(0);
        tree(file)["right_children"][0] = json!(1);
    });
    assert_refused("not neighbours", |file| tree(file)["right_children"][0] = json!(1));
    assert_refused("two splits lead to node", |file| {
        tree(file)["left_children"] = json!([1, 0, -1]);
        tree(file)["right_children"] = json!([2, 1, -1]);
    });
}

#[test]
fn indices_out_of_range_are_refused() {
    assert_refused("leads to node 7, of 3", |file| {
        tree(file)["left_children"][0] = json!(7);
        tree(file)["right_children"][0] = json!(8);
    });
    assert_refused("left_children", |file| {
        tree(file)["left_children"][0] = json!(-7);
        tree(file)["right_children"][0] = json!(-6);
    });
    assert_refused("feature 1, of 1", |file| tree(file)["split_indices"][0] = json!(1));
    assert_refused("split_indices", |file| tree(file)["split_indices"][0] = json!(-1));
    assert_refused("output -1", |file| model(file)["tree_info"] = json!([-1]));
    assert_refused("ids of the trees", |file| tree(file)["id"] = json!(1));
    assert_file_refused(data!("vector_leaves.json"), "no leaf values", |file| {
        tree(file)["right_children"][1] = json!(2);
    });
    assert_file_refused(data!("vector_leaves.json"), "3 values for a model of 2", |file| {
        let sizes = &mut file["learner"]["learner_model_param"];
        sizes["num_target"] = json!("2");
        sizes["base_score"] = json!("[0,0]");
    });
}

#[test]
fn counts_that_lie_are_refused() {
    assert_refused("num_nodes 4000000000", |file| {
        tree(file)["tree_param"]["num_nodes"] = json!("4000000000");
        // As in files before 1.3.
        tree(file)
            .as_object_mut()
            .unwrap()
            .retain(|field, _| field != "split_type" && !field.starts_with("categories"));
    });
    assert_refused("split_type has not one number for each node", |file| {
        tree(file)["tree_param"]["num_nodes"] = json!("4000000000");
    });
    assert_refused("num_trees is 4000000000", |file| {
        model(file)["gbtree_model_param"]["num_trees"] = json!("4000000000");
    });
    assert_refused("divide the 1 trees", |file| model(file)["iteration_indptr"] = json!([0, 2]));
    assert_refused("divide the 1 trees", |file| model(file)["iteration_indptr"] = json!([0, -1]));
    assert_refused("num_class 4000000000", |file| {
        file["learner"]["learner_model_param"]["num_class"] = json!("4000000000");
    });
    assert_refused("num_target", |file| {
        file["learner"]["learner_model_param"]["num_target"] = json!("-1");
    });
    assert_refused("num_feature is 0", |file| {
        file["learner"]["learner_model_param"]["num_feature"] = json!("0");
    });
    assert_refused("2 feature_names for 1", |file| {
        file["learner"]["feature_names"] = json!(["a", "b"]);
    });
    assert_file_refused(data!("linear.json"), "weights of gblinear are 3", |file| {
        file["learner"]["learner_model_param"]["num_feature"] = json!("4294967295");
    });
}

#[test]
fn sets_of_categories_that_lie_are_refused() {
    let file = data!("categories.json");
    assert_file_refused(file, "not from 0", |file| tree(file)["categories"][0] = json!(-1));
    assert_file_refused(file, "not from 0", |file| {
        tree(file)["categories"][0] = json!(16_777_216);
    });
    assert_file_refused(file, "the categories of node 0", |file| {
        tree(file)["categories_segments"][0] = json!(i64::MAX);
    });
    assert_file_refused(file, "the categories of node 0", |file| {
        tree(file)["categories_sizes"][0] = json!(-1);
    });
    assert_file_refused(file, "a node 99", |file| tree(file)["categories_nodes"][0] = json!(99));
    assert_file_refused(file, "differ about node 0", |file| {
        tree(file)["split_type"][0] = json!(0);
    });
}

#[test]
fn sets_of_categories_are_bounded_by_the_size_of_the_file() {
    // Each node's set has one code, and takes two megabytes.
    let nodes = 401;
    let of_nodes: Vec<_> = (0..nodes).collect();
    let splits = |child: usize| -> Vec<_> {
        let node = |index| if index < nodes / 2 { json!(2 * index + child) } else { json!(-1) };
        (0..nodes).map(node).collect()
    };
    assert_refused("sets of categories are too large", |file| {
        let tree = tree(file);
        tree["tree_param"]["num_nodes"] = json!(nodes.to_string());
        tree["left_children"] = splits(1).into();
        tree["right_children"] = splits(2).into();
        tree["split_indices"] = vec![0; nodes].into();
        tree["split_conditions"] = vec![0; nodes].into();
        tree["default_left"] = vec![0; nodes].into();
        tree["split_type"] = vec![1; nodes].into();
        tree["categories"] = json!([16_777_215]);
        tree["categories_segments"] = vec![0; nodes].into();
        tree["categories_sizes"] = vec![1; nodes].into();
        tree["categories_nodes"] = of_nodes.into();
    });
}

#[test]
fn a_deep_tree_is_served_or_refused_without_recursion() {
    let depth = 100_000;
    let nodes = 2 * depth + 1;
    let splits = |child: usize| -> Vec<_> {
        let node = |index: usize| match index % 2 {
            0 if index + 2 < nodes => json!(index + child),
            _ => json!(-1),
        };
        (0..nodes).map(node).collect()
    };
    assert_refused("deeper than", |file| {
        let tree = tree(file);
        tree["tree_param"]["num_nodes"] = json!(nodes.to_string());
        tree["left_children"] = splits(1).into();
        tree["right_children"] = splits(2).into();
        for field in ["split_indices", "split_conditions", "default_left", "split_type"] {
            tree[field] = vec![0; nodes].into();
        }
    });
}

#[test]
fn many_small_trees_are_served_in_time() {
    let many = 20_000;
    let file = changed(data!("one_leaf.json"), |file| {
        let model = model(file);
        let mut tree = model["trees"][0].clone();
        let with_id = |id| {
            tree["id"] = json!(id);
            tree.clone()
        };
        model["trees"] = (0..many).map(with_id).collect();
        model["tree_info"] = vec![0; many].into();
        model["iteration_indptr"] = (0..=many).collect();
        model["gbtree_model_param"]["num_trees"] = json!(many.to_string());
    });
    assert!(predictions(&file, &[1.0])[0] > 0.0);
}

#[test]
fn more_trees_than_a_file_may_have_are_refused() {
    let most = 1 << 18;
    let start = r#"{"learner":{"gradient_booster":{"model":{"trees":["#;
    let text = format!("{start}{}{{}}]}}}}}}}}", "{},".repeat(most));
    let objects = b"{}".repeat(most + 1);
    let bytes = [b"{i\x07learner{i\x05trees[", &objects[..], b"]}}"].concat();
    for file in [text.as_bytes(), &bytes] {
        let refused = refusal(file);
        assert!(refused.contains("more than 262144 objects"), "{refused}");
    }
}

#[test]
fn more_answers_than_memory_are_rejected() {
    let file = changed(data!("no_tree.json"), |file| {
        file["learner"]["objective"]["name"] = json!("multi:softprob");
        file["learner"]["learner_model_param"]["num_class"] = json!("400");
        file["learner"]["attributes"]["padding"] = json!(" ".repeat(1000));
    });
    let rows = 1 << 18;
    let inputs = vec![Tensor::new("features", [rows, 1], vec![0.0_f32; rows])];
    let answer = open(&file).predict(&request(inputs));
    assert!(matches!(answer, Err(Error::Rejected(_))), "{:?}", answer.map(|_| ()));
}

#[test]
fn depth_is_bounded_in_both_formats() {
    let depth = 1_000_000;
    for (open, start) in [("[", "{\"learner\":"), ("{\"a\":", "{\"learner\":")] {
        let text = format!("{start}{}", open.repeat(depth));
        assert!(refusal(text.as_bytes()).contains("recursion limit"));
    }
    for open in [&b"["[..], b"{i\x01a"] {
        let bytes = [b"{i\x07learner", &open.repeat(depth)[..]].concat();
        assert!(refusal(&bytes).contains("inside each other"));
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    for file in [data!("vector_leaves.json"), data!("threshold.ubj")] {
        for end in 0..file.len() {
            refusal(&file[..end]);
        }
    }
}
