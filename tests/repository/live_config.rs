//! Configuration that changes while a model serves.

use std::net::TcpListener;

use serde_json::{Value, json};

use super::{however_watched, watched_by};
use crate::harness::{Models, Response, Server, guest, until};

/// A model whose configuration has `word`, fixed and live.
fn caller(fixed: &str, live: Option<&str>) -> impl Fn(&Models) {
    move |models| {
        // The component is accepted only with at least one origin.
        let http = "http = ['http://127.0.0.1:1']";
        models.settings(
            "http-caller",
            &format!("[capabilities]\n{http}\nconfig = {{ word = '{fixed}' }}"),
        );
        models.version("http-caller", 1, guest("http-caller"));
        live.inspect(|live| set(models, live));
    }
}

fn set(models: &Models, word: &str) {
    models.put("http-caller/config.toml", format!("word = '{word}'"));
}

fn ask(server: &Server) -> Response {
    server.infer("http-caller", &no_asks())
}

fn no_asks() -> Value {
    json!({ "inputs": [{ "name": "asks", "datatype": "BYTES", "shape": [0], "data": [] }] })
}

/// Returns the configured words of a response: the present one, and the one at load time.
fn words(answer: &Response) -> (String, String) {
    let parameters = answer.ok().json()["parameters"].clone();
    let word = |name: &str| parameters[name].as_str().unwrap().to_owned();
    (word("word"), word("word_in_load"))
}

fn until_word(server: &Server, word: &str) {
    until(&format!("that the word is '{word}'"), || words(&ask(server)).0 == word);
}

#[test]
fn live_values_change_without_a_load() {
    however_watched(caller("fixed", None), |server| {
        server.until_ready("http-caller", 1);
        assert_eq!(words(&ask(&server)), ("fixed".into(), "fixed".into()));
        for word in ["one", "two"] {
            set(server.models(), word);
            until_word(&server, word);
            assert_eq!(
                server.config_of("http-caller")["wardian"]["capabilities"]["live_config"],
                json!(["word"])
            );
        }
        server.models().write_in_place("http-caller/config.toml", "word = 'three'\nother = ''");
        until_word(&server, "three");
        server.models().remove("http-caller/config.toml");
        until_word(&server, "fixed");
        let config = server.config_of("http-caller");
        assert_eq!(config["wardian"]["capabilities"]["live_config"], json!([]));
        assert_eq!(config["wardian"]["capabilities"]["config"], json!(["word"]));
        assert_eq!(server.metric("wardian_loads_total"), Some(1.0));
    });
}

#[test]
fn load_never_sees_live_values() {
    let server = watched_by("events", caller("fixed", Some("live"))).start();
    server.until_ready("http-caller", 1);
    assert_eq!(words(&ask(&server)), ("live".into(), "fixed".into()));
    set(server.models(), "newer");
    server.models().version("http-caller", 2, guest("http-caller"));
    server.until_ready("http-caller", 2);
    until_word(&server, "newer");
    assert_eq!(words(&ask(&server)).1, "fixed");
    let server = server.stop().start();
    server.until_ready("http-caller", 2);
    assert_eq!(words(&ask(&server)), ("newer".into(), "fixed".into()));
}

#[test]
fn a_faulty_config_file_keeps_old_values() {
    let server = watched_by("events", caller("fixed", Some("good"))).start();
    server.until_ready("http-caller", 1);
    server.models().put("http-caller/config.toml", "word = 5");
    let says = "config.toml line 1: word: expected a text in quotes";
    server.until_entry("http-caller", 1, says, |entry| {
        entry.state == "READY" && entry.reason.contains(says)
    });
    server.until_logged(says);
    assert_eq!(words(&ask(&server)), ("good".into(), "fixed".into()));
    set(server.models(), "better");
    until_word(&server, "better");
    server.until_entry("http-caller", 1, "nothing", |entry| entry.reason.is_empty());
    server.models().put("http-caller/config.toml", "word = ");
    let server = server.stop().start();
    server.until_ready("http-caller", 1);
    assert_eq!(
        words(&ask(&server)).0,
        "fixed",
        "a server that has never seen it right has only the others"
    );
    server.load("http-caller").ok();
}

#[test]
fn a_call_keeps_its_initial_values() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = upstream.local_addr().unwrap();
    let fill = |models: &Models| {
        caller("fixed", Some("before"))(models);
        models.settings("http-caller", &format!("[capabilities]\nhttp = ['http://{address}']"));
    };
    let server = watched_by("events", fill).start();
    server.until_ready("http-caller", 1);
    let ask = format!("GET http {address} /");
    let body =
        json!({ "inputs": [{ "name": "asks", "datatype": "BYTES", "shape": [1], "data": [ask] }] });
    let begun = server.call("POST", "/v2/models/http-caller/infer").json(&body).begin();
    let (held, _) = upstream.accept().unwrap();
    set(server.models(), "after");
    until_word(&server, "after");
    drop(held);
    assert_eq!(words(&begun.answer()).0, "before");
}
