//! The node tests of the package `onnx`, answered by the runtime `onnx` in the server.
//!
//! The runtime's own test runs them natively, from the same folder and with the same list.

mod node_test;
mod stored_file;
mod tensor;

use std::env;
use std::path::{Path, PathBuf};

use node_test::NodeTest;
use serde_json::{Value, json};

use crate::harness::{PYTHON, Server};

/// The tests that have to pass, in alphabetical order.
const LIST: &str = include_str!("../../guest-models/runtimes/onnx/tests/node_tests.txt");

/// The environment variable that makes every test run.
const ALL: &str = "WARDIAN_ALL_ONNX_NODE_TESTS";

/// Without [`ALL`], one test of so many runs. An operator has some ten tests, one after another, so
/// most operators are among them.
const SAMPLE: usize = 20;

/// Models of one server. A server keeps what it has compiled, so this bounds the disk.
const GROUP: usize = 50;

#[test]
fn the_runtime_answers_node_tests_in_the_server() {
    let Some(root) = root() else { return };
    let step = if env::var_os(ALL).is_some() { 1 } else { SAMPLE };
    let names: Vec<_> = LIST.lines().step_by(step).collect();
    let failures: Vec<_> = names.chunks(GROUP).flat_map(|group| failures(&root, group)).collect();
    println!("{} of {} node tests pass", names.len() - failures.len(), names.len());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Serves a group of tests, and returns the name and the reason of each that fails.
fn failures(root: &Path, names: &[&str]) -> Vec<String> {
    let tests: Vec<_> = names.iter().map(|name| NodeTest::read(&root.join(name))).collect();
    let server = Server::with_models(|models| tests.iter().for_each(|test| test.put(models)));
    let server = server.start();
    names.iter().for_each(|name| until_loaded(&server, name));

    let index = server.post("/v2/repository/index", &json!({})).ok().json();
    let outcome = |test: &NodeTest| served(&index, test.name()).and_then(|()| test.run(&server));
    let failure = |test| outcome(test).err().map(|reason| format!("{}: {reason}", test.name()));
    tests.iter().filter_map(failure).collect()
}

/// Waits until a model serves or is refused.
fn until_loaded(server: &Server, model: &str) {
    server.until_entry(model, 1, "the end of the load", |entry| {
        entry.state == "READY" || (entry.state == "UNAVAILABLE" && !entry.reason.is_empty())
    });
}

/// Fails unless the runtime serves a model.
fn served(index: &Value, model: &str) -> Result<(), String> {
    let lines = index.as_array().ok_or("the index is no list")?;
    let line = lines.iter().find(|line| line["name"] == model).ok_or("it is not in the index")?;
    let is_served = line["state"] == "READY" && line["runtime"]["name"] == "onnx";
    is_served.then_some(()).ok_or_else(|| line.to_string())
}

/// Returns the folder of the tests, or `None` after it has noted that they are skipped.
fn root() -> Option<PathBuf> {
    let root = env::var_os("WARDIAN_ONNX_NODE_TESTS").map(PathBuf::from);
    if root.is_none() {
        PYTHON.skip("WARDIAN_ONNX_NODE_TESTS names no folder made by onnx_node_tests.py");
    }
    root
}
