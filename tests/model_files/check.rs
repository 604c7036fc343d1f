//! `wardian check` and `wardian inspect` of model files.

use super::{golden, lightgbm};
use crate::command_line::{folder, wardian};

const PICKLE: &[u8] = b"\x80\x04\x95\x20\0\0\0\0\0\0\0\x8c\x0fsklearn.linear_";

#[test]
fn check_takes_model_files_and_their_folders() {
    let folder = folder("", |models| {
        models.put("rent.txt", lightgbm(1));
        models.put("price/1/model.txt", lightgbm(2));
        models.put("price/1/golden.json", golden(2));
    });
    let output = wardian(folder.directory(), &["check", "models"]).expect_code(0);
    let output = output.expect_stdout(&[
        "price version 1: OK in ",
        "rent version 1: OK in ",
        "\n2 of 2 OK\n",
    ]);
    output.expect_stdout(&[
        "\n  runtime   tabular ",
        "for model.txt of the format lightgbm\n",
        "features FP64 [-1, 1]",
    ]);

    for path in ["models/rent.txt", "models/price/1/model.txt", "models/price/1", "models/price"] {
        wardian(folder.directory(), &["check", path]).expect_code(0).expect_stdout(&["1 of 1 OK"]);
    }
    let json =
        wardian(folder.directory(), &["check", "models/price", "--json"]).expect_code(0).json();
    let version = &json["versions"][0];
    assert_eq!(
        (&version["runtime"]["name"], &version["golden_requests"]),
        (&"tabular".into(), &1.into())
    );
}

#[test]
fn check_says_why_a_file_is_refused() {
    let folder = folder("", |models| {
        models.put("a.pkl", PICKLE);
        models.put("b.onnx", PICKLE);
        models.put("c.txt", "not a model");
        models.put("d.safetensors", "");
        models.put("e.md", "");
    });
    let check = |file: &str| wardian(folder.directory(), &["check", &format!("models/{file}")]);
    for file in ["a.pkl", "b.onnx"] {
        check(file).expect_code(3).expect_stdout(&[
            "FAILED (read)",
            "runs code when it is opened",
            "wardian.save(",
        ]);
    }
    check("c.txt")
        .expect_code(3)
        .expect_stdout(&["FAILED (load)", "this is not a file of ONNX, XGBoost"]);
    check("d.safetensors").expect_code(3).expect_stdout(&["export it to ONNX"]);
    check("e.md")
        .expect_code(1)
        .expect_stderr(&["neither a model file nor a .wasm file nor a folder"]);
}

#[test]
fn inspect_shows_format_runtime_and_tensors() {
    let folder = folder("", |models| {
        models.put("rent.txt", lightgbm(1));
        models.put("a.onnx", PICKLE);
    });
    let output = wardian(folder.directory(), &["inspect", "models/rent.txt"]).expect_code(0);
    let output = output
        .expect_stdout(&["format      lightgbm\n", "runtime     tabular, a part of this program"]);
    output.expect_stdout(&["loaded\n", "prediction FP64 [-1]", "property"]);

    let output =
        wardian(folder.directory(), &["inspect", "models/rent.txt", "--no-load", "--json"]);
    let json = output.expect_code(0).json();
    assert_eq!((&json["format"], &json["runtime"]["embedded"]), (&"lightgbm".into(), &true.into()));
    assert_eq!(json["loaded"], serde_json::Value::Null);
    wardian(folder.directory(), &["inspect", "models/a.onnx"])
        .expect_code(1)
        .expect_stderr(&["it is a Python pickle", "runs code when it is opened"]);
}
