//! The example model `notes`, and its script.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Server, guest_folder};

fn serve() -> Server {
    let server = Server::with_models(|models| {
        models.settings("notes", "[capabilities]\nsql = true");
        models.copy_folder(&guest_folder("notes"), "notes/1");
    });
    let server = server.start();
    server.until_ready("notes", 1);
    server
}

/// Runs the script with these arguments, and returns its output.
fn say(server: &Server, words: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/notes/notes.sh");
    let mut command = Command::new(script);
    command.env("WARDIAN_URL", format!("http://{}", server.address())).args(words);
    serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
}

fn column(answer: &Value, name: &str) -> Value {
    let outputs = answer["outputs"].as_array().unwrap_or_else(|| panic!("{answer}"));
    outputs.iter().find(|output| output["name"] == name).unwrap()["data"].clone()
}

#[test]
fn notes_are_made_listed_completed_and_deleted() {
    let server = serve();
    // The note of the golden request is not visible.
    assert_eq!(column(&say(&server, &[]), "id"), json!([]));
    assert_eq!(column(&say(&server, &["add", "water", "the \"ferns\""]), "id"), json!([1]));
    assert_eq!(column(&say(&server, &["add", "prune"]), "done"), json!([false]));
    assert_eq!(column(&say(&server, &["done", "1"]), "done"), json!([true]));
    let server = server.stop().start();
    server.until_ready("notes", 1);
    let listed = say(&server, &["list"]);
    assert_eq!(column(&listed, "text"), json!(["water the \"ferns\"", "prune"]));
    assert_eq!(column(&listed, "done"), json!([true, false]));
    assert_eq!(column(&listed, "created")[0].as_str().unwrap().len(), "2024-05-31 12:00:00".len());
    assert_eq!(column(&say(&server, &["delete", "1"]), "id"), json!([1]));
    assert_eq!(column(&say(&server, &[]), "id"), json!([2]));
}

#[test]
fn callers_mistakes_are_explained() {
    let server = serve();
    for (words, says) in [
        (["done", "7"], "model 'notes': there is no note 7"),
        (["add", ""], "model 'notes': a note needs a text, of up to 1000 characters"),
    ] {
        let answer = say(&server, &words);
        assert_eq!(
            (answer["code"].as_str(), answer["error"].as_str()),
            (Some("model_rejected_input"), Some(says))
        );
    }
}
