//! A server with keys does not open by accident.

use std::process::{Command, Output, Stdio};

use super::{EAGER, HOST, key};
use crate::harness::{Server, Setup, until};

fn with_key() -> String {
    format!("{EAGER}keys = [{}]", key(HOST, &["admin"]))
}

fn server() -> Server {
    let server = Server::with_models(|_| {}).config(&with_key()).start();
    server.get("/v2").refused(401, "unauthenticated");
    server
}

fn configure(server: &Server, text: &str) {
    std::fs::write(server.directory().join("wardian.toml"), text).unwrap();
}

#[test]
fn losing_all_keys_is_refused_at_run_time() {
    let server = server();
    for text in ["", "keys = []", "insecure = false"] {
        configure(&server, &format!("{EAGER}{text}"));
        server.until_logged("no keys are configured any more");
        until("the fault", || {
            server
                .holder(HOST)
                .get("/v2/tenants")
                .text()
                .contains("no keys are configured any more")
        });
        server.get("/v2").refused(401, "unauthenticated");
        configure(&server, &with_key());
        until("the end of the fault", || {
            server.holder(HOST).get("/v2/tenants").json()["faults"].as_array().unwrap().is_empty()
        });
    }
    configure(&server, &format!("{EAGER}insecure = true"));
    until("that it is open", || server.get("/v2").status == 200);
    // It has been opened on purpose, and stays open.
    let server = server.stop().config(EAGER).start();
    server.get("/v2").ok();
}

/// Runs the program in the directories of a stopped server, until it listens or ends.
fn serve(setup: &Setup, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardian"));
    command.current_dir(setup.directory()).env_remove("RUST_LOG").args([
        "serve",
        "--listen",
        "127.0.0.1:0",
    ]);
    command
        .arg("--state")
        .arg(setup.state())
        .arg("--config")
        .arg(setup.directory().join("wardian.toml"));
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn losing_all_keys_prevents_a_restart() {
    for emptied in ["", "[http]\nkeep_alive = '1m'"] {
        let server = server();
        configure(&server, emptied);
        let setup = server.kill();
        for arguments in [&[][..], &["--check-config"]] {
            let refused = serve(&setup, arguments);
            let said = String::from_utf8_lossy(&refused.stderr);
            assert!(!refused.status.success() && refused.stdout.is_empty(), "{said}");
            for words in ["no keys are configured any more", "wardian key new", "--insecure"] {
                assert!(said.contains(words), "'{words}' is missing in {said}");
            }
        }
        let server = setup.config(emptied).argument("--insecure").start();
        server.get("/v2").ok();
    }
}

#[test]
fn keys_added_at_run_time_are_remembered() {
    let server = Server::with_models(|_| {}).config(EAGER).start();
    server.get("/v2").ok();
    configure(&server, &with_key());
    until("that keys are asked for", || server.get("/v2").status == 401);
    configure(&server, "");
    let setup = server.kill();
    assert!(!serve(&setup, &[]).status.success());
}
