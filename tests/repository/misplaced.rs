//! Misplaced files are logged once, with the place where they belong.

use crate::harness::{Server, guest, scripted};

#[test]
fn each_misplaced_file_is_explained() {
    let server = Server::with_models(|models| {
        models.bare("good", guest("minimal"));
        models.put("1/model.wasm", scripted(""));
        models.put("a/model.wasm", scripted(""));
        models.put("b/v1/model.wasm", scripted(""));
        models.put("c/inner/1/model.wasm", scripted(""));
        models.put("d/golden.json", "{}");
        models.put("e/1/upper.wasm", scripted(""));
        models.put("f/1/model.joblib", b"\x80\x04\x95sklearn.linear_model");
        models.put("g/1/model.wasm", b"\x80\x04\x95sklearn.linear_model");
        models.put("h/rent.onnx", b"\x08\x08\x12\x07skl2onnx");
        models.put("resnet.h5", b"\x89HDF\r\n\x1a\n");
        models.put("rows.npz", "");
        models.put("golden.json", "{}");
        models.put("model.toml", "");
        models.put("not a name.wasm", scripted(""));
        models.put("README.md", "");
    })
    .start();
    server.until_ready("good", 1);
    for told in [
        "1/ is taken for a model called '1'",
        "a/model.wasm is ignored: components lie in version folders; move it to a/1/model.wasm",
        "b/v1/ is ignored: version folders are named 1, 2, 3 and so on; rename it to b/1",
        "c/inner/ is ignored: version folders are named 1, 2, 3 and so on, and models lie directly in the repository",
        "d/golden.json is ignored: the files of a version lie in its folder; move it to d/1/golden.json",
        "h/rent.onnx is ignored: model files lie in version folders; move it to h/1/model.onnx",
        "resnet.h5: it is a Keras model; export it to ONNX, or save it with `wardian.save(",
        "rows.npz is ignored: it is a NumPy file",
        "golden.json is ignored: golden requests lie beside their component",
        "model.toml is ignored: the settings of a model lie in its folder",
        "'not a name.wasm' is ignored",
    ] {
        server.until_logged(told);
    }
    server.until_refused(
        "e",
        1,
        "no model.wasm or model file in it yet; rename upper.wasm to model.wasm",
    );
    server.until_refused(
        "f",
        1,
        "model.joblib is a Python pickle; a pickle runs code when it is opened",
    );
    server.until_refused(
        "g",
        1,
        "model.wasm: a Python pickle of a scikit-learn model, not WebAssembly",
    );
    assert!(!server.log().contains("README"), "{}", server.log());
}

#[test]
fn many_misplaced_files_do_not_fill_the_log() {
    let server = Server::with_models(|models| {
        (0..1000).for_each(|number| models.put(&format!("m{number}.npy"), ""));
        models.bare("good", guest("minimal"));
    })
    .start();
    server.until_ready("good", 1);
    server.until_logged("more than 100 files and folders are ignored");
    // A further scan does not log it again.
    server.load("good").ok();
    assert_eq!(server.log().matches("is ignored: it is a NumPy file").count(), 100);
}
