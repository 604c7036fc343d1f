//! Each example model is dropped in and answers.

use serde_json::json;

use crate::harness::{Server, guest, guest_folder, puppet};

#[test]
fn the_example_models_answer() {
    let server = Server::with_models(|models| {
        models.bare("iris", guest("iris"));
        models.bare("puppet", puppet("version=7"));
        for name in ["house-price", "digits", "upper"] {
            models.copy_folder(&guest_folder(name), &format!("{name}/1"));
        }
    })
    .start();
    for name in ["iris", "house-price", "digits", "upper", "puppet"] {
        server.until_ready(name, 1);
        server.get(&format!("/v2/models/{name}/ready")).ok();
    }
    let upper = json!({ "inputs": [{ "name": "text", "datatype": "BYTES", "shape": [1], "data": ["ab"] }] });
    eprintln!("{}", server.get("/v2/models/upper").text());
    eprintln!("{}", server.infer("upper", &upper));
    assert_eq!(server.version_of("puppet"), 7);
}
