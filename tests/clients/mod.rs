//! Stock clients and test suites, unmodified, against the real server. A script beside this file
//! drives each of them.

mod schemathesis;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use wardian::model::Digest;

use crate::harness::{LIBB64, PYTHON, Server, Setup, guest, guest_folder};

const EXAMPLES: [&str; 9] = [
    "chat",
    "digits",
    "digits-wide",
    "house-price",
    "iris",
    "language-id",
    "learner",
    "notes",
    "upper",
];

/// NVIDIA's `tritonclient.http`, and `sseclient-py` for streams.
#[test]
fn tritonclient() {
    let Some(python) = python("WARDIAN_PYTHON") else { return };
    let server = start(serving(&["chat", "house-price", "iris", "upper"]));
    let guests = root().join("guest-models");
    run(Command::new(&python).arg(script("triton_http.py")).arg(address(&server)).arg(guests), 18);
    run(Command::new(&python).arg(script("triton_aio.py")).arg(address(&server)), 9);
}

/// NVIDIA's `tritonclient.grpc`.
#[test]
fn tritonclient_grpc() {
    let Some(python) = python("WARDIAN_PYTHON") else { return };
    let server = start(serving(&["chat", "house-price", "iris", "upper"]));
    let guests = root().join("guest-models");
    run(Command::new(&python).arg(script("triton_grpc.py")).arg(address(&server)).arg(guests), 16);
}

/// gRPC's own packages for health and reflection.
#[test]
fn grpc_services() {
    let Some(python) = python("WARDIAN_PYTHON") else { return };
    let server = start(serving(&["iris"]).config(&with_key()));
    run(Command::new(python).arg(script("grpc_services.py")).arg(address(&server)).arg(KEY), 5);
}

/// Python's `websockets`.
#[test]
fn websockets() {
    let Some(python) = python("WARDIAN_PYTHON") else { return };
    let setup = serving(&["upper"]);
    let routes = std::fs::read_to_string(root().join("examples/routes/upper.toml")).unwrap();
    let bytes = "[[routes]]\npath = '/bytes'\nwebsocket = true\nbody = 'raw'\nanswer = 'raw'\n\
        inputs = { text = 'body' }\noutputs = 'text'\n";
    setup.models().settings("upper", &format!("{routes}{bytes}"));
    let server = start(setup.config(&with_key()));
    let example = root().join("examples/routes/shout.py");
    let mut script = Command::new(python);
    run(
        script
            .arg(self::script("websockets_client.py"))
            .arg(address(&server))
            .args([KEY])
            .arg(example),
        7,
    );
}

/// The cases of `tests/protocols/grpc`.
#[test]
fn grpc_cases() {
    let Some(python) = python("WARDIAN_PYTHON") else { return };
    let server = start(serving(&["house-price", "iris", "upper"]));
    let cases = root().join("tests/protocols/grpc");
    let mut script = Command::new(python);
    run(script.arg(self::script("grpc_cases.py")).arg(address(&server)).arg(cases).arg("40"), 1);
}

/// Prometheus' own parsers.
#[test]
fn openmetrics() {
    let Some(python) = python("WARDIAN_PYTHON") else { return };
    let server = start(serving(&["iris"]));
    run(Command::new(python).arg(script("openmetrics.py")).arg(address(&server)), 3);
}

/// A client that `openapi-python-client` generates.
#[test]
fn openapi() {
    let Some(python) = python("WARDIAN_PYTHON_OPENAPI") else { return };
    let server = start(serving(&["chat", "iris", "upper"]).config(&with_key()));
    run(Command::new(python).arg(script("openapi_client.py")).arg(address(&server)).arg(KEY), 8);
}

/// PyTriton's clients.
#[test]
fn pytriton() {
    let Some(python) = python("WARDIAN_PYTHON_PYTRITON") else { return };
    let server = start(serving(&EXAMPLES));
    run(Command::new(python).arg(script("pytriton_client.py")).arg(address(&server)), 6);
}

/// MLServer's types, codecs and command.
#[test]
fn mlserver() {
    let Some(python) = python("WARDIAN_PYTHON_MLSERVER") else { return };
    let setup = serving(&["iris", "upper"]);
    setup.models().bare("batcher", guest("batcher"));
    let server = start(setup);
    run(Command::new(python).arg(script("mlserver_codecs.py")).arg(address(&server)), 9);
}

/// MLflow's client of a scoring server, and TensorFlow Serving's requests.
#[test]
fn mlflow() {
    let Some(python) = python("WARDIAN_PYTHON_MLFLOW") else { return };
    let setup = serving(&["house-price", "iris", "upper"]);
    let server = start(setup.argument("--default-model").argument("house-price"));
    run(Command::new(python).arg(script("mlflow_client.py")).arg(address(&server)), 8);
}

/// KServe's SDK.
#[test]
fn kserve() {
    let Some(python) = python("WARDIAN_PYTHON_KSERVE") else { return };
    let server = start(serving(&["house-price", "iris", "upper"]));
    let proto = root().join("host/proto");
    run(Command::new(python).arg(script("kserve_sdk.py")).arg(address(&server)).arg(proto), 10);
}

/// OpenAI's package.
#[test]
fn openai() {
    let Some(python) = python("WARDIAN_PYTHON_OPENAI") else { return };
    let setup = serving(&["chat"]);
    setup.models().bare("embedder", guest("embedder"));
    setup.models().bare("streamer", guest("streamer"));
    // Ends before the longest text is written.
    setup.models().settings("chat-in-haste", "[streaming]\ndeadline = '300ms'\n");
    setup.models().copy_folder(&guest_folder("chat"), "chat-in-haste/1");
    let server = start(setup.config(&with_key()));
    run(Command::new(python).arg(script("openai_client.py")).arg(address(&server)).arg(KEY), 9);
}

/// NVIDIA's `perf_analyzer`.
#[test]
fn perf_analyzer() {
    let Some(python) = python("WARDIAN_PYTHON_PERF_ANALYZER") else { return };
    if !starts(&python) {
        return;
    }
    let server = start(serving(&EXAMPLES));
    run(Command::new(python).arg(script("perf_analyzer.py")).arg(address(&server)), 6);
}

/// The API key of a server that has keys.
const KEY: &str = "the-key";

/// The configuration of a server with that key, with scope `admin`.
fn with_key() -> String {
    let digest = Digest::sha256(KEY.as_bytes());
    format!(
        "[tenants.default]\nkeys = [{{ id = 'all', sha256 = '{digest}', scopes = ['admin'] }}]\n"
    )
}

/// Returns the Python interpreter of a client's environment, or `None` after it has noted the test
/// as skipped.
pub(crate) fn python(variable: &str) -> Option<OsString> {
    // `cargo xtask test` prepares the environment; a plain `cargo test` cannot.
    let python = std::env::var_os(variable);
    if python.is_none() {
        PYTHON.skip(&format!("{variable} names no Python with the packages of the client"));
    }
    python
}

/// Returns true if `perf_analyzer` starts. Notes the test as skipped if it does not.
fn starts(python: &OsString) -> bool {
    let output = Command::new(python).arg(script("perf_analyzer.py")).arg("--version").output();
    let starts = output.is_ok_and(|output| output.status.success());
    if !starts {
        LIBB64.skip("perf_analyzer does not start");
    }
    starts
}

/// The settings of an example without its own. No client is about deadlines, and guests get little
/// CPU time while other programs compile.
const PATIENT: &str = "[limits]\ndeadline = '60s'\n";

/// A server, not yet started, with these example models.
fn serving(names: &[&str]) -> Setup {
    Server::with_models(|models| {
        for &name in names {
            if name == "iris" {
                models.bare(name, guest(name));
                continue;
            }
            let version = guest_folder(name);
            let settings = std::fs::read_to_string(version.join("../model.toml"));
            models.settings(name, settings.as_deref().unwrap_or(PATIENT));
            models.copy_folder(&version, &format!("{name}/1"));
        }
    })
}

fn start(setup: Setup) -> Server {
    let server = setup.start();
    for model in std::fs::read_dir(server.directory().join("models")).unwrap() {
        let path = model.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        server.until_logged(&format!("ready tenant=default model={name} version=1"));
    }
    server
}

fn address(server: &Server) -> String {
    server.address().to_string()
}

/// Runs a script and asserts that it prints one line for each of `checks` checks.
#[track_caller]
pub(crate) fn run(script: &mut Command, checks: usize) {
    let output = script.output().expect("the script starts");
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert_eq!(out.matches(": ok").count(), checks, "{out}");
}

fn script(name: &str) -> PathBuf {
    folder().join(name)
}

fn folder() -> PathBuf {
    root().join("tests/clients")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
