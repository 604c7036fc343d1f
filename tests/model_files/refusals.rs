//! Files that are refused, with the reason and what to do.

use super::{lightgbm, predict, until_predicts};
use crate::harness::{Server, guest};

const PICKLE: &[u8] = b"\x80\x04\x95\x20\0\0\0\0\0\0\0\x8c\x0fsklearn.linear_";

#[test]
fn pickles_are_never_opened() {
    let server = Server::with_models(|models| {
        models.put("a.joblib", PICKLE);
        models.put("b/1/model.pkl", PICKLE);
        models.put("c/1/model.onnx", PICKLE);
        models.put("d/model.pt", PICKLE);
        models.put("d/1/model.txt", lightgbm(1));
    })
    .start();
    until_predicts(&server, "d", 1.0);
    for (model, version) in [("a", 0), ("b", 1), ("c", 1)] {
        server.until_refused(model, version, "a pickle runs code when it is opened");
        server.until_refused(model, version, "`wardian.save(model, folder, sample=X)`");
    }
    server.until_logged("a.joblib: it is a Python pickle; a pickle runs code when it is opened");
    server.until_logged("d/model.pt is ignored: it is a PyTorch model, which is a pickle");
}

#[test]
fn a_version_holds_one_model() {
    let server = Server::with_models(|models| {
        models.put("two/1/model.txt", lightgbm(1));
        models.put("two/1/model.json", "{}");
        models.put("beside/1/model.txt", lightgbm(1));
        models.put("beside/1/model.wasm", guest("minimal"));
        models.put("both.txt", lightgbm(1));
        models.put("both/1/model.txt", lightgbm(1));
    })
    .start();
    server.until_refused("two", 1, "model.json and model.txt are all model files");
    server.until_refused("beside", 1, "both model.wasm and model.txt are in it");
    server.until_refused("both", 0, "both both.txt and both/ exist; remove one of them");
    server.models().remove("two/1/model.json");
    until_predicts(&server, "two", 1.0);
}

#[test]
fn files_at_a_wrong_place_are_explained() {
    let server = Server::with_models(|models| {
        models.put("a/rent.onnx", b"\x08\x08\x12\x07skl2onnx");
        models.put("b/1/rent.onnx", b"\x08\x08\x12\x07skl2onnx");
        models.put("c.safetensors", "");
        models.put("d/1/saved_model.pb", "");
        models.put("metadata.json", "{}");
        models.put("notes.txt", "not a model");
        models.put("table.json", "[]");
        models.put("good.txt", lightgbm(1));
    })
    .start();
    until_predicts(&server, "good", 1.0);
    server.until_logged(
        "a/rent.onnx is ignored: model files lie in version folders; move it to a/1/model.onnx",
    );
    server.until_refused("b", 1, "rename rent.onnx to model.onnx");
    server.until_refused("c", 0, "c.safetensors: it is a safetensors file; export it to ONNX");
    server.until_refused("d", 1, "saved_model.pb is a TensorFlow model; export it to ONNX");
    server.until_logged("metadata.json is ignored: it lies beside its model file");
    assert_eq!(predict(&server, "notes", 9.0), None);
    let names: Vec<_> = server.index().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["b", "c", "d", "good"], "texts that are no models are not in the index");
}
