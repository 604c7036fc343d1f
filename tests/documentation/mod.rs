//! Tests of every fenced block, link and source path in the documentation.
//!
//! The info string of a block determines its test:
//!
//! - `sh`: the commands of a page run in order in one shell, in a copy of the repository's root,
//!   beside a server.
//! - `console`: the same, and the output shown after each command (`$ …`) is compared.
//! - `json`, `text`: after commands, the expected output, see [`compare`]; elsewhere JSON is
//!   parsed.
//! - `toml`: the program reads it as the file that `<!-- test: is NAME -->` names;
//!   `MODEL/model.toml` is that of an example model.
//! - `rust`: it compiles against the SDK, with the context in [`rust`].
//! - `mermaid`: it names a known type of diagram.
//!
//! A block of any other kind fails the test, unless `<!-- test: not run: REASON -->` precedes it.
//! The directives `start the server`, `stop the server` and `restart the server` stand for actions
//! of the reader in another terminal. `numbers vary` permits other numbers in the output.

mod compare;
mod links;
mod page;
mod rust;
mod scratch;
mod script;
mod settings;

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{CURL, PYTHON, guest, scripted};
use page::{Kind, Page};
use scratch::Scratch;

/// The key that `$KEY` stands for on pages whose server asks for one.
const KEY: &str = "wdn_of-the-documentation";

/// Its SHA-256.
const KEY_SHA256: &str = "a6cdfcfe0cfab9888c35765e50548560703a30eadba9f785fac18a717dd8318d";

/// Runs the commands of a page in a scratch folder, after `prepare` has filled it.
fn run(name: &str, programs: &[&str], prepare: impl FnOnce(&mut Scratch)) {
    if programs.iter().any(|program| is_missing(program)) {
        return;
    }
    let page = Page::read(name);
    let mut scratch = Scratch::new(&page);
    prepare(&mut scratch);
    script::run(&page, &scratch);
}

/// Returns true if a program that the commands need is missing. The test is then noted as skipped.
fn is_missing(program: &str) -> bool {
    let found = match program {
        MOTO => moto().is_some_and(|program| program.exists()),
        LIBRARIES => libraries().is_some_and(|program| program.exists()),
        _ => Command::new(program).arg("--version").output().is_ok(),
    };
    if !found {
        let requirement = if program == "curl" { CURL } else { PYTHON };
        requirement.skip(&format!("there is no {program}"));
    }
    !found
}

/// Python with scikit-learn, boto3 and the package `wardian`, which `cargo xtask test` installs.
const LIBRARIES: &str = "Python with scikit-learn";

fn libraries() -> Option<PathBuf> {
    std::env::var_os("WARDIAN_PYTHON_LIBRARIES").map(PathBuf::from)
}

/// An S3 server, from the packages that `cargo xtask test` installs.
const MOTO: &str = "moto_server";

fn moto() -> Option<PathBuf> {
    let python = std::env::var_os("WARDIAN_PYTHON")?;
    Some(Path::new(&python).with_file_name(MOTO))
}

macro_rules! pages {
    ($($test:ident: $page:literal, $programs:expr, $prepare:expr;)*) => {
        /// The pages whose commands are run.
        const RUN: &[&str] = &[$($page),*];

        $(
            #[test]
            fn $test() {
                run($page, &$programs, $prepare);
            }
        )*
    };
}

pages! {
    the_readme: "README.md", ["curl"], as_it_is;
    the_command_line: "docs/command-line.md", ["curl"], command_line;
    operating: "docs/operating.md", ["curl"], operated;
    the_protocol: "docs/protocol.md", ["curl"], as_it_is;
    routes: "docs/routes.md", ["curl"], as_it_is;
    predicting: "docs/predict.md", ["curl"], as_it_is;
    openais_api: "docs/openai.md", ["curl"], as_it_is;
    the_dashboard: "docs/dashboard.md", ["curl"], as_it_is;
    tenants: "docs/tenants.md", ["curl"], as_it_is;
    configuration: "docs/configuration.md", ["curl"], faulty_configuration;
    batching: "examples/batching/README.md", ["curl", "python3"], as_it_is;
    interceptors: "examples/interceptors/README.md", ["curl"], as_it_is;
    notes: "examples/notes/README.md", ["curl"], as_it_is;
    routes_of_the_example: "examples/routes/README.md", ["curl"], as_it_is;
    retrain: "examples/retrain/README.md", ["curl", "python3", MOTO, LIBRARIES], retrained;
    s3_repository: "examples/s3-repository/README.md", ["curl", MOTO], bucket;
    sessions: "examples/sessions/README.md", ["curl"], as_it_is;
    shared_state: "examples/shared-state/README.md", ["curl", "python3"], as_it_is;
    streaming: "examples/streaming/README.md", ["curl", "python3"], as_it_is;
    notes_of_the_model: "guest-models/notes/README.md", ["curl"], as_it_is;
    a_new_crate: "host/src/cli/new/template/README.md.in", ["curl"], new_crate;
}

/// Adds nothing to the folder that `cargo xtask serve` leaves behind.
fn as_it_is(_: &mut Scratch) {}

/// Adds the files that `docs/command-line.md` uses besides the example models.
fn command_line(scratch: &mut Scratch) {
    scratch.put("models/iris.wasm", guest("iris"));
    scratch.put("core.wasm", b"\0asm\x01\0\0\0");
    for version in 1..=4 {
        let script = if version == 3 {
            "version=3;load=fail".to_owned()
        } else {
            format!("version={version}")
        };
        let component = scripted(&script);
        let length = if version == 4 { 5000 } else { component.len() };
        scratch.put(&format!("models/mod/{version}/model.wasm"), &component[..length]);
    }
    let golden = serde_json::json!({ "cases": [{
        "request": { "inputs": [] },
        "response": { "outputs": [{ "name": "version", "datatype": "INT64", "shape": [1], "data": [1] }] },
    }] });
    scratch.put("models/mod/2/golden.json", golden.to_string());
}

/// Configures a server with keys, and adds a component to upload.
fn operated(scratch: &mut Scratch) {
    let keys =
        format!("keys = [{{ id = 'ci', sha256 = '{KEY_SHA256}', scopes = ['infer', 'manage'] }}]");
    scratch.put("wardian.toml", format!("[tenants.default]\n{keys}\n"));
    scratch.put("model.wasm", guest("upper"));
    scratch.put("weights.bin", [0; 256]);
}

/// Makes a new crate and changes into its folder.
fn new_crate(scratch: &mut Scratch) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardian"));
    let status =
        command.args(["new", "demo"]).current_dir(scratch.path("")).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());
    scratch.put("profile", "cd demo\n");
}

/// Adds the packages that the page installs, and a port of this test's own.
fn bucket(scratch: &mut Scratch) {
    environment(scratch, "/tmp/s3", &[(MOTO, moto())]);
}

/// Like [`bucket`], with what trains.
fn retrained(scratch: &mut Scratch) {
    environment(scratch, "/tmp/retrain", &[(MOTO, moto()), ("python", libraries())]);
}

/// Puts programs into the environment that a page makes at `place`, and replaces the port of the S3
/// server by one of this test's own.
fn environment(scratch: &mut Scratch, place: &'static str, programs: &[(&str, Option<PathBuf>)]) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    scratch.replace("9000", &port.to_string());
    let folder = scratch.path("environment");
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    for (name, program) in programs {
        let program = program.as_ref().expect("the page is not run without it");
        // A link would lead Python out of its environment.
        let path = folder.join("bin").join(name);
        let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", program.display());
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }
    scratch.replace(place, folder.to_str().unwrap());
}

/// Adds the faulty configuration that `docs/configuration.md` shows.
fn faulty_configuration(scratch: &mut Scratch) {
    scratch.put("wardian.toml", "\n\nengine.stack = \"1kB\"\n\n\n\nlistn = 1\n");
}

#[test]
fn every_page_with_commands_is_run() {
    for name in page::all() {
        let page = Page::read(&name);
        let commands = page.blocks(&Kind::Shell).chain(page.blocks(&Kind::Transcript)).count();
        assert!(
            commands == 0 || RUN.contains(&name.as_str()),
            "no test runs the commands of {name}"
        );
    }
}

#[test]
fn json_is_json() {
    for name in page::all() {
        let page = Page::read(&name);
        for block in page.blocks(&Kind::Json) {
            let parsed = serde_json::from_str::<serde_json::Value>(&block.text);
            parsed.unwrap_or_else(|error| panic!("{}: {error}", page.place(block)));
        }
    }
}

/// Blocks that are not run are checked by readers only, so this test pins their number.
#[test]
fn the_blocks_that_are_not_run_are_counted() {
    let pages = page::all();
    let counts =
        pages.iter().map(|name| (name.as_str(), Page::read(name).blocks(&Kind::NotRun).count()));
    let counts: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
    let expected = [
        // Its program is run by `model_files::libraries`.
        ("README.md", 2),
        ("docs/benchmarks.md", 1),
        ("docs/command-line.md", 1),
        ("docs/configuration.md", 1),
        ("docs/interceptors.md", 1),
        ("docs/model-files.md", 1),
        // The package is run by `clients::openai`.
        ("docs/openai.md", 1),
        ("docs/operating.md", 3),
        ("docs/routes.md", 1),
        ("docs/text-models.md", 2),
        ("examples/batching/README.md", 1),
        ("examples/interceptors/README.md", 1),
        ("examples/notes/README.md", 1),
        ("examples/retrain/README.md", 2),
        // Its second block is run by `clients::websockets`, which knows the third.
        ("examples/routes/README.md", 3),
        ("examples/s3-repository/README.md", 1),
        ("examples/sessions/README.md", 1),
        ("examples/shared-state/README.md", 1),
        ("fuzz/README.md", 2),
        ("guest-models/runtimes/conformance/README.md", 4),
        ("python/README.md", 4),
    ];
    assert_eq!(counts, expected);
}

#[test]
fn links_have_targets() {
    page::all().iter().map(|name| Page::read(name)).for_each(|page| links::check(&page));
}

#[test]
fn named_source_files_exist() {
    page::all().iter().map(|name| Page::read(name)).for_each(|page| links::check_paths(&page));
}

#[test]
fn diagrams_have_a_known_type() {
    for name in page::all() {
        let page = Page::read(&name);
        for block in page.blocks(&Kind::Diagram) {
            let kind = block.text.split_whitespace().next();
            let known = ["flowchart", "sequenceDiagram", "stateDiagram-v2"];
            assert!(kind.is_some_and(|kind| known.contains(&kind)), "{}", page.place(block));
        }
    }
}

#[test]
fn settings_are_read_by_the_program() {
    page::all().iter().map(|name| Page::read(name)).for_each(|page| settings::try_all(&page));
}

#[test]
fn code_compiles() {
    let pages: Vec<_> = page::all().iter().map(|name| Page::read(name)).collect();
    rust::compile(&pages);
}
