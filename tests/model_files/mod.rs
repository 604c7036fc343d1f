//! Model files, served by the embedded runtime and by an operator's own.

mod check;
mod formats;
mod libraries;
mod operator;
mod refusals;
mod serving;
mod text_models;
mod uploading;

use serde_json::{Value, json};

use crate::harness::{Server, until};

/// A LightGBM file: 0 up to 3, and then `right`.
fn lightgbm(right: u32) -> String {
    let tree = "Tree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nsplit_gain=9.775\n\
                threshold=3.0000000000000004\ndecision_type=2\nleft_child=-1\nright_child=-2\n";
    let values = format!(
        "leaf_value=0 {right}\nleaf_weight=23 17\nleaf_count=23 17\ninternal_value=0.425\n\
         internal_weight=40\ninternal_count=40\nis_linear=0\nshrinkage=1\n\n\n"
    );
    let head = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n\
                max_feature_idx=0\nobjective=regression\nfeature_names=size\n\
                feature_infos=[-19.5:19.5]\n";
    let size = tree.len() + values.len();
    format!(
        "{head}tree_sizes={size}\n\n{tree}{values}end of trees\n\nfeature_importances:\nsize=1\n\n\
         parameters:\n[categorical_feature: ]\n\nend of parameters\n\npandas_categorical:null\n"
    )
}

/// Golden requests that such a file answers.
fn golden(right: u32) -> String {
    let request = json!({"inputs": [features(&[0.0, 9.0])]});
    let output =
        json!({"name": "prediction", "datatype": "FP64", "shape": [2], "data": [0, right]});
    json!({"cases": [{"request": request, "response": {"outputs": [output]}}]}).to_string()
}

fn features(rows: &[f64]) -> Value {
    json!({"name": "features", "datatype": "FP64", "shape": [rows.len(), 1], "data": rows})
}

/// The answer of a LightGBM model for a row.
fn predict(server: &Server, model: &str, row: f64) -> Option<f64> {
    let response = server.infer(model, &json!({"inputs": [features(&[row])]}));
    (response.status == 200).then(|| response.output("prediction")[0].as_f64().unwrap())
}

fn until_predicts(server: &Server, model: &str, expected: f64) {
    let what = format!("the answer {expected} of {model}");
    until(&what, || predict(server, model, 9.0) == Some(expected));
}

/// Waits until the multiplier answers 10 with this number.
fn until_multiplies(server: &Server, model: &str, expected: i64) {
    let x = json!({"inputs": [{"name": "x", "datatype": "INT64", "shape": [1], "data": [10]}]});
    until(&format!("the answer {expected} of {model}"), || {
        let response = server.infer(model, &x);
        response.status == 200 && response.number("y") == expected
    });
}

/// The line of the index about a version, with all its fields.
fn index_line(server: &Server, model: &str) -> Value {
    let index = server.post("/v2/repository/index", &json!({})).ok().json();
    let lines = index.as_array().unwrap();
    lines.iter().find(|line| line["name"] == model).unwrap().clone()
}
