//! Texts of every kind, and the limits.

use serde_json::json;
use wardian_sdk::{Error, Request, Tensor};

use super::tiny::{Tiny, numbers, request};

fn embed(tiny: &Tiny, text: &str) -> Vec<f32> {
    numbers(&tiny.open().unwrap().answer(&request(&[text])).unwrap(), "embedding")
}

fn rejection(tiny: &Tiny, request: &Request) -> String {
    match tiny.open().unwrap().answer(request) {
        Err(Error::Rejected(reason)) => reason,
        Err(Error::Failed(reason)) => panic!("blamed on the model: {reason}"),
        Ok(_) => panic!("it is answered"),
    }
}

#[test]
fn the_mean_of_all_tokens_is_the_default() {
    let tiny = Tiny::new("last_hidden_state");
    assert_eq!(embed(&tiny, "a b"), [2.5, -2.5]);
    assert_eq!(embed(&tiny, ""), [1.5, -1.5]);
    assert_eq!(embed(&tiny, " \t\n "), [1.5, -1.5]);
    assert_eq!(embed(&tiny, "nothing known"), [0.75, -0.75]);
}

#[test]
fn special_tokens_in_a_text_are_themselves() {
    assert_eq!(embed(&Tiny::new("last_hidden_state"), "[CLS] a"), [1.75, -1.75]);
}

#[test]
fn the_tightest_limit_of_the_files_counts() {
    let tiny = Tiny::new("last_hidden_state");
    let text = "a b c d e f g h i";
    let own = json!({"max_length": 3, "strategy": "LongestFirst", "stride": 0});
    let own = tiny.tokenizer("truncation", own);
    assert_eq!(embed(&own, text)[0], (1 + 3 + 2) as f32 / 3.0);

    let tokenizer = own.with("tokenizer_config.json", &json!({"model_max_length": 5}));
    assert_eq!(embed(&tokenizer, text)[0], (1 + 3 + 4 + 5 + 2) as f32 / 5.0);
    let left = json!({"model_max_length": 5, "truncation_side": "left"});
    let left = tokenizer.clone().with("tokenizer_config.json", &left);
    assert_eq!(embed(&left, text)[0], (1 + 9 + 10 + 11 + 2) as f32 / 5.0);

    let sentence = json!({"max_seq_length": 4, "do_lower_case": true});
    let sentence = tokenizer.with("sentence_bert_config.json", &sentence);
    assert_eq!(embed(&sentence, "A B C")[0], (1 + 3 + 4 + 2) as f32 / 4.0);
    let positions = sentence.clone().with("config.json", &json!({"max_position_embeddings": 3}));
    assert_eq!(embed(&positions, text)[0], (1 + 3 + 2) as f32 / 3.0);
    let roberta = json!({"max_position_embeddings": 5, "model_type": "roberta", "pad_token_id": 1});
    assert_eq!(embed(&sentence.with("config.json", &roberta), text)[0], (1 + 3 + 2) as f32 / 3.0);
}

#[test]
fn an_endless_limit_is_that_of_positions() {
    let tiny = Tiny::new("last_hidden_state")
        .with("tokenizer_config.json", &json!({"model_max_length": 1e30}))
        .with("config.json", &json!({"max_position_embeddings": 4}));
    assert_eq!(embed(&tiny, "a b c d e")[0], (1 + 3 + 4 + 2) as f32 / 4.0);
}

#[test]
fn prompts_of_the_folder_come_first() {
    let prompts = json!({"prompts": {"query": "i "}, "default_prompt_name": "query"});
    let tiny = Tiny::new("last_hidden_state").with("config_sentence_transformers.json", &prompts);
    assert_eq!(embed(&tiny, "a")[0], (1 + 11 + 3 + 2) as f32 / 4.0);
}

#[test]
fn texts_beyond_the_limits_are_rejected() {
    let tiny = Tiny::new("last_hidden_state");
    let long = "a ".repeat(128 << 10);
    assert_eq!(embed(&tiny, &long).len(), 2);
    let too_long = rejection(&tiny, &request(&["a", &format!("{long}a")]));
    assert_eq!(
        too_long,
        "text 1: a text has 262145 bytes, and at most 262144 are read; send parts of it"
    );
    let many = rejection(&tiny, &request(&["a"; 1025]));
    assert!(many.contains("has 1025 texts, and at most 1024"), "{many}");

    let mut bytes = request(&["a"]);
    bytes.inputs = vec![Tensor::from_strings("text", [1], [b"\xff\xfe"])];
    assert!(rejection(&tiny, &bytes).contains("not UTF-8"));
    let bare = tiny.tokenizer("post_processor", json!(null));
    assert!(
        rejection_at_load(&bare).contains("no tokens")
            || rejection(&bare, &request(&[""])).contains("no tokens")
    );
}

fn rejection_at_load(tiny: &Tiny) -> String {
    tiny.open().err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn no_texts_have_no_embeddings() {
    let response = Tiny::new("last_hidden_state").open().unwrap().answer(&request(&[])).unwrap();
    assert_eq!(response.outputs[0].shape, [0, 2]);
}

#[test]
fn tokens_are_counted_if_asked_for_by_name() {
    let model = Tiny::new("last_hidden_state").open().unwrap();
    let outputs = vec!["embedding".to_owned(), "prompt_tokens".to_owned()];
    let asked = Request { outputs, ..request(&["a b", "c"]) };

    let response = model.answer(&asked).unwrap();
    // With the tokens at the beginning and at the end.
    assert_eq!(response.outputs[1].view::<i64>().unwrap().to_vec(), [4, 3]);
    assert_eq!(model.answer(&request(&["a b"])).unwrap().outputs.len(), 1);
}

#[test]
fn one_faulty_request_leaves_its_neighbours_alone() {
    let model = Tiny::new("last_hidden_state").open().unwrap();
    let long = "a".repeat(300 << 10);
    let requests = [request(&["a b", "c"]), request(&[&long]), request(&["d"])];
    let answers = model.answer_all(&requests);
    let first = answers[0].as_ref().unwrap();
    assert_eq!(numbers(first, "embedding"), [2.5, -2.5, 8.0 / 3.0, -8.0 / 3.0]);
    assert!(matches!(&answers[1], Err(Error::Rejected(_))));
    assert_eq!(numbers(answers[2].as_ref().unwrap(), "embedding")[0], 3.0);
}
