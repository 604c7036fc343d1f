//! Models whose `load` fails or returns wrong metadata.

use super::{Case, case, check};
use crate::harness::{scripted, scripted_without_snapshot};

fn load(word: &'static str, words: &'static [&'static str]) -> Case {
    case(word, scripted(&format!("load={word}")), words)
}

fn lie(word: &'static str, words: &'static [&'static str]) -> Case {
    case(word, scripted(&format!("lie={word}")), words)
}

#[test]
fn a_failed_load_is_explained() {
    let server = check(
        vec![
            load("spin", &["load: load took longer than 6s"]),
            load("trap", &["load: load did not return", "unreachable"]),
            load("panic", &["load: load did not return", "it last wrote", "secret-of-the-guest"]),
            load(
                "eat",
                &["load: load needed more than the 268435456 bytes that limits.memory allows"],
            ),
            case(
                "need",
                scripted("load=need:300"),
                &["load: load failed: there is no room for the weights; load needed more than \
                     the 268435456 bytes that limits.memory allows"],
            ),
            load("recurse", &["load: load did not return", "stack"]),
            load("exit", &["load: load did not return"]),
            load("fail", &["load: load failed: the weights are corrupt"]),
            load("reject", &["load: load failed: this input is not to my taste"]),
        ],
        "[compile]\nload_deadline = '6s'",
    );
    // The index is shown to the owner of the model; a caller of the model does not see the reason.
    let refused = server.behave("panic", "ok");
    refused.refused(503, "model_not_ready");
    assert!(!refused.text().contains("secret-of-the-guest"), "{refused}");
}

#[test]
fn a_load_that_outgrows_the_compile_process_names_the_setting() {
    let large = case(
        "large",
        scripted("ballast=400"),
        &["load: load needed more than the 256 MiB of memory", "(compile.memory)"],
    );
    check(vec![large.under("[limits]\nmemory = '512MiB'")], "[compile]\nmemory = '256MiB'");
}

#[test]
fn a_sleeping_load_is_stopped() {
    check(
        vec![
            case("sleep", scripted("load=sleep:600000"), &["load: load took longer than 2s"]),
            case(
                "unsnapshotted",
                scripted_without_snapshot("load=sleep:600000"),
                &["load: load took longer than 2s"],
            ),
            case("ballast", scripted("ballast=300"), &["load: load needed more than"]),
        ],
        "[compile]\nload_deadline = '2s'",
    );
}

#[test]
fn inconsistent_metadata_is_refused() {
    check(
        vec![
            lie("duplicate-input", &["load: the metadata names input 'x' twice"]),
            lie("empty-name", &["load: the metadata's input '' has no name"]),
            lie("huge-shape", &["'huge'", "more elements than any request can hold"]),
            lie("negative-shape", &["'negative'", "-7"]),
            lie("long-name", &["longer than 256 bytes"]),
            lie("many-inputs", &["100002 inputs; at most 256 are allowed"]),
            lie("no-outputs", &["load: the metadata names no outputs"]),
        ],
        "",
    );
}
