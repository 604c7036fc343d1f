//! The addresses on which a server without keys may listen.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{HOST, key};
use crate::harness::Server;

/// The command of a server that would listen on an address that other machines can reach.
fn everywhere(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardian"));
    command
        .current_dir(directory)
        .env_remove("RUST_LOG")
        .args(["serve", "--listen", "0.0.0.0:0"])
        .args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn listens(directory: &Path, arguments: &[&str]) {
    let mut child = everywhere(directory, arguments).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.starts_with("listening on http://0.0.0.0:"), "{said}");
}

#[test]
fn public_addresses_require_keys_or_insecure() {
    let setup = Server::with_models(|_| {});
    let directory = setup.models().path("..");
    let refused = everywhere(&directory, &[]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{said}");
    for words in ["other machines could reach 0.0.0.0:0", "wardian key new", "--insecure"] {
        assert!(said.contains(words), "'{words}' is missing in {said}");
    }
    assert!(refused.stdout.is_empty());
    listens(&directory, &["--insecure"]);
    std::fs::write(directory.join("wardian.toml"), format!("keys = [{}]", key(HOST, &["admin"])))
        .unwrap();
    listens(&directory, &[]);
}
