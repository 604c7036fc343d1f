//! Networks for texts, with the answers of their libraries.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::index_line;
use crate::harness::{PYTHON, Server};

/// Networks below `$WARDIAN_TEXT_MODELS`, which `conformance/text_models.py` writes: each kind of
/// tokenizer and of use, and MiniLM with numbers of 8 and of 32 bits.
const MODELS: [&str; 8] =
    ["two-limits", "pieces", "topics", "sentiment", "reranker", "places", "minilm-int8", "minilm"];

const TEXTS: [&str; 3] = ["How do I change my password?", "Resetting a login", "It rains in Bern."];

#[test]
fn networks_for_texts_answer_as_their_libraries() {
    let Some(saved) = saved() else { return };
    let server = Server::empty();
    server.models().put(
        "minilm/model.toml",
        "[limits]\nmemory = \"1GiB\"\ndeadline = \"60s\"\ncpu_time = \"30s\"\n",
    );
    server.models().put(
        "minilm-int8/model.toml",
        "[limits]\nmemory = \"1GiB\"\ndeadline = \"60s\"\ncpu_time = \"30s\"\n",
    );

    // The runtime is compiled for the first, and the others share its code. Each serves once it has
    // answered its golden requests.
    for name in MODELS {
        put(&server, &saved, name, name, |_| true);
        server.until_ready(name, 1);
    }
    let runtime = &index_line(&server, "minilm")["runtime"];
    assert_eq!((&runtime["name"], &runtime["format"]), (&json!("text"), &json!("onnx-text")));

    let [password, login, weather] = embeddings(&server, "minilm");
    let product = |one: &[f64], other: &[f64]| -> f64 {
        one.iter().zip(other).map(|(one, other)| one * other).sum()
    };
    assert!(product(&password, &login) > product(&password, &weather) + 0.2);
    assert!((product(&login, &login) - 1.0).abs() < 1e-5);

    let asked = json!({"model": "minilm", "input": TEXTS});
    let answer = server.post("/v1/embeddings", &asked).ok().json();
    for (index, vector) in [password, login, weather].iter().enumerate() {
        assert_eq!(answer["data"][index]["embedding"], json!(vector));
    }
    // Words, a comma or full stop, and [CLS] and [SEP] of each.
    let tokens = answer["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!((20..30).contains(&tokens), "{tokens} tokens");
}

#[test]
fn a_network_answers_the_same_on_two_threads() {
    let Some(saved) = saved() else { return };
    let server = Server::empty();
    for (name, threads) in [("one", 1), ("two", 2)] {
        let settings = format!(
            "[instances]\nthreads = {threads}\n\
             [limits]\nmemory = \"1GiB\"\ndeadline = \"60s\"\ncpu_time = \"30s\"\n"
        );
        server.models().put(&format!("{name}/model.toml"), settings);
        put(&server, &saved, "minilm", name, |_| true);
        server.until_ready(name, 1);
    }
    assert_eq!(embeddings(&server, "one"), embeddings(&server, "two"));
}

#[test]
fn without_a_tokenizer_a_network_takes_numbers_of_tokens() {
    let Some(saved) = saved() else { return };
    let server = Server::empty();
    put(&server, &saved, "pieces", "pieces", |name| name == "model.onnx");
    server.until_ready("pieces", 1);
    assert_eq!(index_line(&server, "pieces")["runtime"]["name"], "onnx");
    let row = |name| json!({"name": name, "datatype": "INT64", "shape": [1, 2], "data": [1, 1]});
    let inputs: Vec<_> = ["input_ids", "attention_mask", "token_type_ids"].map(row).into();
    let response = server.infer("pieces", &json!({"inputs": inputs}));
    let response = response.ok();
    assert_eq!(response.output("last_hidden_state").len(), 64);
}

#[test]
fn a_tokenizer_that_is_not_served_is_refused_by_name() {
    let Some(saved) = saved() else { return };
    let server = Server::empty();
    put(&server, &saved, "pieces", "pieces", |name| name != "tokenizer.json");
    server.models().put("pieces/1/tokenizer.json", r#"{"model": {"type": "SentencePiece"}}"#);
    server.until_refused("pieces", 1, "the model \"SentencePiece\" is not served");
}

fn embeddings(server: &Server, model: &str) -> [Vec<f64>; 3] {
    let input = json!({"name": "text", "datatype": "BYTES", "shape": [3], "data": TEXTS});
    let response = server.infer(model, &json!({"inputs": [input]}));
    let response = response.ok();
    let numbers = response.output("embedding");
    let numbers: Vec<_> = numbers.iter().filter_map(Value::as_f64).collect();
    let rows: Vec<_> = numbers.chunks(384).map(<[f64]>::to_vec).collect();
    rows.try_into().unwrap()
}

/// Puts the files of a network into the repository as a model, those of its module's folder as
/// well. The network comes last, so that no version is seen without its tokenizer.
fn put(
    server: &Server,
    saved: &Path,
    network: &str,
    model: &str,
    is_wanted: impl Fn(&str) -> bool,
) {
    let folder = saved.join(network).join("1");
    let names = [
        "1_Pooling/config.json",
        "config.json",
        "golden.json",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.onnx",
    ];
    for file in names.into_iter().filter(|file| is_wanted(file)) {
        if let Ok(content) = std::fs::read(folder.join(file)) {
            server.models().put(&format!("{model}/1/{file}"), content);
        }
    }
}

/// Returns the folder of the networks, or `None` after it has noted the test as skipped.
fn saved() -> Option<PathBuf> {
    let folder = std::env::var_os("WARDIAN_TEXT_MODELS").map(PathBuf::from);
    if folder.is_none() {
        PYTHON.skip("WARDIAN_TEXT_MODELS names no folder of networks for texts");
    }
    folder
}
