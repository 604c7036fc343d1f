//! `wardian inspect`.

use serde_json::{Value, json};

use super::{folder, wardian};
use crate::harness::{guest, guest_folder, scripted};

#[test]
fn a_component_is_taken_apart_and_loaded() {
    let folder = folder("", |models| {
        models.bare("iris", guest("iris"));
        models.copy_folder(&guest_folder("digits"), "digits/1");
    });
    let output = wardian(folder.directory(), &["inspect", "models/iris.wasm"]).expect_code(0);
    let output = output.expect_stdout(&[
        "size        ",
        "imports\n",
        "\n  granted   wasi:io/poll@",
        "\nloaded\n  says      The species",
    ]);
    output
        .expect_stdout(&[
            "exports\n  wardian:model/inference@0.1.0\n",
            "\n  inputs    measurements FP64 [-1, 4]\n",
        ])
        .expect_stdout(&[
            "\n  batch     up to 1024 items",
            "\n  snapshot  taken",
            "\n  lifecycle none\n",
        ])
        .expect_stderr(&["iris version 1: load"]);
    // The model's `load` reads the weights beside it.
    let output = wardian(folder.directory(), &["inspect", "models/digits/1/model.wasm", "--json"])
        .expect_code(0);
    assert_eq!(output.stderr, "", "progress is left out of JSON");
    let json = output.json();
    assert_eq!(
        (&json["loaded"]["ok"], &json["loaded"]["snapshot"]["taken"]),
        (&json!(true), &json!(true))
    );
    for number in ["bytes", "code_bytes", "data_bytes", "custom_bytes"] {
        assert!(json[number].as_u64().is_some_and(|number| number > 0), "{number}: {json}");
    }
    for list in ["core_modules", "imports", "exports"] {
        assert!(json[list].as_array().is_some_and(|list| !list.is_empty()), "{list}: {json}");
    }
}

#[test]
fn an_unloadable_component_is_shown() {
    let folder = folder("", |models| {
        models.bare("http-caller", guest("http-caller"));
        models.bare("trap", scripted("load=trap"));
    });
    let inspect = |file: &str, more: &[&str]| {
        wardian(folder.directory(), &[&["inspect", file], more].concat())
    };
    let output = inspect("models/http-caller.wasm", &[]).expect_code(3);
    output.expect_stdout(&["\n  by [capabilities] http   wasi:http/", "\nNOT LOADED (validate)\n"]);
    inspect("models/http-caller.wasm", &["--no-load"]).expect_code(0);
    let json = inspect("models/http-caller.wasm", &["--no-load", "--json"]).expect_code(0).json();
    let imports = json["imports"].as_array().unwrap();
    let http = imports
        .iter()
        .find(|import| import["name"].as_str().unwrap().starts_with("wasi:http/outgoing"));
    assert_eq!(
        http.map(|import| (&import["granted"], &import["needs"])),
        Some((&json!(false), &json!("http")))
    );
    assert!(
        imports.iter().any(|import| import["granted"] == true && import["needs"] == Value::Null),
        "{json}"
    );
    assert!(json.get("loaded").is_none(), "{json}");
    let json = inspect("models/trap.wasm", &["--json"]).expect_code(3).json();
    assert_eq!((&json["loaded"]["ok"], &json["loaded"]["stage"]), (&json!(false), &json!("load")));
}

#[test]
fn other_files_are_errors() {
    let folder = folder("", |models| models.put("core.wasm", b"\0asm\x01\0\0\0"));
    let inspect =
        |arguments: &[&str]| wardian(folder.directory(), &[&["inspect"], arguments].concat());
    let output = inspect(&["models/core.wasm"]).expect_code(1);
    assert_eq!(
        output.stderr,
        "error: cannot inspect models/core.wasm: a core module, not a component; build it with `cargo build --target \
         wasm32-wasip2`\n"
    );
    folder.models().put("net.h5", b"\x89HDF\r\n\x1a\n");
    let keras = ["an HDF5 file, such as Keras writes (.h5), not WebAssembly", "export it to ONNX"];
    inspect(&["models/net.h5"]).expect_code(1).expect_stderr(&keras);
    inspect(&["models"]).expect_code(1).expect_stderr(&["it is a folder"]);
    inspect(&["absent.wasm"])
        .expect_code(1)
        .expect_stderr(&["cannot inspect absent.wasm: No such file"]);
    inspect(&[]).expect_code(2).expect_stderr(&["Usage: wardian inspect"]);
}
