//! Models whose names are also words of a path.

use std::collections::BTreeSet;

use serde_json::json;
use wardian::api::routes;

use crate::harness::{Server, scripted, version_path};

/// Returns every word of every path that could be a model's name.
fn words() -> BTreeSet<&'static str> {
    let words = routes().into_iter().flat_map(|route| route.path.split('/'));
    words.filter(|word| !word.is_empty() && !word.starts_with('{')).collect()
}

#[test]
fn models_named_like_path_words_work() {
    let words = words();
    assert!(words.contains("stats") && words.contains("versions") && words.len() > 20, "{words:?}");
    let server = Server::with_models(|models| {
        words.iter().for_each(|word| models.version(word, 1, scripted("version=1")));
    })
    .start();
    server.until_tried();
    for word in words {
        if word == "stats" {
            is_refused(&server, word);
        } else {
            works(&server, word);
        }
    }
}

fn works(server: &Server, name: &str) {
    for version in ["", "/versions/1"] {
        let path = format!("/v2/models/{name}{version}");
        assert_eq!(server.get(&path).ok().json()["name"], name);
        server.get(&format!("{path}/ready")).ok();
        assert_eq!(server.get(&format!("{path}/config")).ok().json()["name"], name);
        assert_eq!(
            server.get(&format!("{path}/stats")).ok().json()["model_stats"][0]["name"],
            name
        );
        let inferred = server.post(&format!("{path}/infer"), &json!({ "inputs": [] }));
        assert_eq!(inferred.ok().json()["model_name"], name);
        assert_eq!(
            server.post(&format!("{path}/generate"), &json!({})).ok().json()["model_name"],
            name
        );
        let stream =
            server.call("POST", &format!("{path}/generate_stream")).json(&json!({})).begin();
        assert_eq!(stream.events().all()[0]["model_name"], name);
    }
    assert_eq!(server.version_of(name), 1);
    server.unload(name).ok();
    server.load(name).ok();
    server.upload(name, 2, scripted("version=2"));
    assert_eq!(server.version_of(name), 2);
    server.remove(name, 2).ok();
    assert_eq!(server.entry(name, 1).unwrap().name, name);
}

fn is_refused(server: &Server, name: &str) {
    server.until_refused(name, 0, "this name is reserved and cannot be a model's");
    let uploaded = server.call("PUT", &version_path(name, 2)).body(scripted("version=2")).send();
    assert!(
        uploaded.refused(400, "invalid_input").text().contains("cannot be uploaded to"),
        "{uploaded}"
    );
    server.behave(name, "ok").refused(503, "model_not_ready");
}

#[test]
fn reserved_names_are_refused_in_any_case() {
    let server = Server::with_models(|models| {
        models.bare("stats", scripted("version=1"));
        models.version("Stats", 1, scripted("version=1"));
        models.version("Interceptors", 1, scripted("version=1"));
        models.bare("scripted", scripted("version=1"));
    })
    .start();
    server.until_version_of("scripted", 1);
    for name in ["stats", "Stats", "Interceptors"] {
        is_refused(&server, name);
    }
}
