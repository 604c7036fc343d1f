//! Files that are damaged, hostile, or of kinds that are not served.

use serde_json::{Value, json};

use super::tiny::{TOKENS, Tiny, request};

fn tiny() -> Tiny {
    Tiny::new("last_hidden_state")
}

#[test]
fn kinds_of_tokenizers_are_refused_by_name() {
    let model = tiny().tokenizer("model", json!({"type": "SentencePiece", "vocab": {}}));
    let reason = model.refusal();
    assert!(reason.contains("the model \"SentencePiece\" is not served"), "{reason}");
    assert!(reason.contains("save_pretrained(folder)"), "{reason}");

    let nested = json!({"type": "Sequence", "normalizers": [{"type": "Custom"}]});
    let reason = tiny().tokenizer("normalizer", nested).refusal();
    assert!(reason.contains("the normalizer \"Custom\" is not served"), "{reason}");
    let dropout = json!({"type": "BPE", "dropout": 0.1, "vocab": {}, "merges": []});
    let reason = tiny().tokenizer("model", dropout).refusal();
    assert!(reason.contains("answers random"), "{reason}");
}

#[test]
fn damaged_tokenizers_are_refused() {
    let whole = tiny_tokenizer();
    for length in (0..whole.len()).step_by(7) {
        tiny().with_bytes("tokenizer.json", whole[..length].to_vec()).refusal();
    }
    for content in ["", "{}", "[]", "null", "{\"model\": 1}", "\u{feff}{}"] {
        tiny().with_bytes("tokenizer.json", content.into()).refusal();
    }
    let large = vec![b' '; (64 << 20) + 1];
    assert!(tiny().with_bytes("tokenizer.json", large).refusal().contains("more than 67108864"));
}

fn tiny_tokenizer() -> Vec<u8> {
    let vocabulary = json!({"[UNK]": 0, "a": 1});
    let model = json!({"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"});
    json!({"version": "1.0", "model": model}).to_string().into_bytes()
}

#[test]
fn deep_and_wide_tokenizers_are_refused() {
    let deep = |depth| {
        let inner = json!({"type": "Lowercase"});
        (0..depth).fold(inner, |part, _| json!({"type": "Sequence", "normalizers": [part]}))
    };
    assert!(tiny().tokenizer("normalizer", deep(15)).open().is_ok());
    let reason = tiny().tokenizer("normalizer", deep(16)).refusal();
    assert!(reason.contains("its parts are more than 16 deep"), "{reason}");
    let nested = format!("{{\"model\": {}1{}}}", "[".repeat(9999), "]".repeat(9999));
    let reason = tiny().with_bytes("tokenizer.json", nested.into_bytes()).refusal();
    assert!(reason.contains("recursion limit") || reason.contains("invalid type"), "{reason}");

    let wide = vec![json!({"type": "Lowercase"}); 300];
    let wide = json!({"type": "Sequence", "normalizers": wide});
    assert!(tiny().tokenizer("normalizer", wide).refusal().contains("more than 256 parts"));
}

fn split(expression: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": false})
}

#[test]
fn expressions_are_bounded() {
    let long = tiny().tokenizer("pre_tokenizer", split(&"a".repeat(5000))).refusal();
    assert!(long.contains("a regular expression of 5000 bytes, more than 4096"), "{long}");
    for hostile in
        ["((((((a{100}){100}){100}){100}){100}){100})", "(", "(?<n>a)\\k<m>", "a{99999999}"]
    {
        tiny().tokenizer("pre_tokenizer", split(hostile)).refusal();
    }
    let nested = format!("{}a{}", "(".repeat(2000), ")".repeat(2000));
    tiny().tokenizer("pre_tokenizer", split(&nested)).refusal();
}

#[test]
fn expressions_that_go_back_forever_end() {
    let model = tiny().tokenizer("pre_tokenizer", split("(?=a)(a+a+)+b")).open().unwrap();
    let text = "a".repeat(5000);
    // Answered or rejected: either way it ends.
    let _ = model.answer(&request(&[&text]));
}

#[test]
fn a_tokenizer_of_another_network_is_refused() {
    let vocabulary = json!({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": TOKENS});
    let model = json!({"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"});
    let reason = tiny().tokenizer("model", model).refusal();
    assert!(reason.contains("has the token 12, and the network does not take it"), "{reason}");
}

#[test]
fn modules_that_are_not_served_are_refused_by_name() {
    let with = |kind: &str| {
        let kind = format!("sentence_transformers.models.{kind}");
        let module = json!({"idx": 1, "name": "1", "path": "1_Pooling", "type": kind});
        tiny().with("modules.json", &json!([module]))
    };
    assert!(with("Dense").refusal().contains("the module \"Dense\" is not served"));
    assert!(with("Pooling").refusal().contains("there is no 1_Pooling/config.json"));
    let pooling = |config| with("Pooling").with("1_Pooling_config.json", &config);
    assert!(pooling(json!({})).refusal().contains("names no pooling"));
    let unknown = pooling(json!({"pooling_mode": "attention"})).refusal();
    assert!(unknown.contains("the pooling \"attention\" is not served"), "{unknown}");
    assert!(pooling(json!({"pooling_mode": "cls"})).open().is_ok());
}

#[test]
fn networks_for_other_tasks_are_refused_by_name() {
    let reason = tiny().inputs(&["input_ids", "position_ids"]).refusal();
    assert!(reason.contains("the network has the input 'position_ids'"), "{reason}");
    assert!(tiny().inputs(&["attention_mask"]).refusal().contains("input_ids"));

    let logits = |config: Value| Tiny::new("logits").with("config.json", &config);
    let reason = logits(json!({"architectures": ["BertForMaskedLM"]})).refusal();
    assert!(reason.contains("the architecture \"BertForMaskedLM\" is not served"), "{reason}");
    let tokens = "BertForTokenClassification";
    let three = json!({"0": "O", "1": "A", "2": "B"});
    let reason = logits(json!({"architectures": [tokens], "id2label": three})).refusal();
    assert!(reason.contains("3 labels in id2label, and the network has 2"), "{reason}");
    let gap = json!({"architectures": [tokens], "id2label": {"0": "O", "2": "B"}});
    assert!(logits(gap).refusal().contains("not 0, 1, 2 and so on"));
    assert!(Tiny::new("last_hidden_state").with("config.json", &json!(1)).open().is_err());
}
