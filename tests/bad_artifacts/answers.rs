//! Models that load and then answer wrongly from the first request on.

use super::{Case, PATIENT, case, check};
use crate::harness::scripted;

fn infer(word: &'static str, words: &'static [&'static str]) -> Case {
    case(word, scripted(&format!("infer={word}")), words)
}

fn warm(word: &'static str, words: &'static [&'static str]) -> Case {
    // The argument after the colon is not part of the model's name.
    let name = word.split(':').next().unwrap();
    case(name, scripted(&format!("warm={word}")), words)
}

#[test]
fn outputs_that_violate_the_metadata_prevent_publication() {
    check(
        vec![
            infer("bad-shape", &["warm-up: a request of zeros failed", "output 'version'"]),
            infer(
                "bad-length",
                &["warm-up: a request of zeros failed", "output 'version'", "7 bytes"],
            ),
            infer("wrong-shape", &["output 'version' has shape [2], expected [1]"]),
            infer("wrong-datatype", &["output 'version' has datatype FP64, expected INT64"]),
            infer("wrong-name", &["unknown output 'verzion'"]),
            infer("missing-output", &["output 'version' is missing"]),
            infer("duplicate-output", &["output 'version' is given twice"]),
            infer("huge-output", &["warm-up: a request of zeros failed"]),
            infer("trap", &["warm-up: a request of zeros failed", "unreachable"]),
            infer("spin", &["warm-up: a request of zeros failed", "CPU time"]).under(PATIENT),
        ],
        "",
    );
}

#[test]
fn a_failing_warm_up_prevents_publication() {
    check(
        vec![
            warm("trap", &["warm-up: the model's warm-up failed"]),
            warm("panic", &["warm-up: the model's warm-up failed", "secret-of-the-guest"]),
            warm("spin", &["warm-up: the model's warm-up failed", "CPU time"]).under(PATIENT),
            warm("sleep:600000", &["warm-up: the model's warm-up failed", "deadline"]),
            warm("eat", &["warm-up: the model's warm-up failed", "ran out of"]),
            warm("fail", &["warm-up: the model's warm-up failed", "the weights are corrupt"]),
        ],
        "",
    );
}
