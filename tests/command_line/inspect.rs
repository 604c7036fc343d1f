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
    let said = wardian(folder.directory(), &["inspect", "models/iris.wasm"]).exits(0);
    let said = said.prints(&[
        "size        ",
        "imports\n",
        "\n  granted   wasi:io/poll@",
        "\nloaded\n  says      The species",
    ]);
    said.prints(&[
        "exports\n  wardian:model/inference@0.1.0\n",
        "\n  inputs    measurements FP64 [-1, 4]\n",
    ])
    .prints(&["\n  batch     up to 1024 items", "\n  snapshot  taken", "\n  lifecycle none\n"])
    .complains(&["iris version 1: load"]);
    // The model's `load` reads the weights beside it.
    let said =
        wardian(folder.directory(), &["inspect", "models/digits/1/model.wasm", "--json"]).exits(0);
    assert_eq!(said.err, "", "progress is left out of JSON");
    let json = said.json();
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
    let said = inspect("models/http-caller.wasm", &[]).exits(3);
    said.prints(&["\n  by [capabilities] http   wasi:http/", "\nNOT LOADED (validate)\n"]);
    inspect("models/http-caller.wasm", &["--no-load"]).exits(0);
    let json = inspect("models/http-caller.wasm", &["--no-load", "--json"]).exits(0).json();
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
    let json = inspect("models/trap.wasm", &["--json"]).exits(3).json();
    assert_eq!((&json["loaded"]["ok"], &json["loaded"]["stage"]), (&json!(false), &json!("load")));
}

#[test]
fn other_files_are_errors() {
    let folder = folder("", |models| models.put("core.wasm", b"\0asm\x01\0\0\0"));
    let inspect =
        |arguments: &[&str]| wardian(folder.directory(), &[&["inspect"], arguments].concat());
    let said = inspect(&["models/core.wasm"]).exits(1);
    assert_eq!(
        said.err,
        "error: cannot inspect models/core.wasm: a core module, not a component; build it with `cargo build --target \
         wasm32-wasip2`\n"
    );
    folder.models().put("net.h5", b"\x89HDF\r\n\x1a\n");
    let keras = ["an HDF5 file, such as Keras writes (.h5), not WebAssembly", "export it to ONNX"];
    inspect(&["models/net.h5"]).exits(1).complains(&keras);
    inspect(&["models"]).exits(1).complains(&["it is a folder"]);
    inspect(&["absent.wasm"]).exits(1).complains(&["cannot inspect absent.wasm: No such file"]);
    inspect(&[]).exits(2).complains(&["Usage: wardian inspect"]);
}
