//! Failures of the host itself, and large models.

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Server, scripted, until, until_some};

/// Returns the compile processes of a server.
fn children(server: &Server) -> Vec<i32> {
    let parent = format!("PPid:\t{}", server.process_id());
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |number: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{number}/status")).unwrap_or_default();
        status.lines().any(|line| line == parent)
    };
    numbers.filter(is_child).collect()
}

#[test]
fn a_killed_compile_process_is_retried() {
    let server =
        Server::with_models(|models| models.bare("slow", scripted("load=sleep:600000"))).start();
    let child = until_some("a compile child", || children(&server).pop());
    kill_process(Pid::from_raw(child).unwrap(), Signal::KILL).unwrap();
    server.until_refused("slow", 1, "host: the compile process was killed");
    until("another child", || children(&server).iter().any(|&other| other != child));
    server.until_state("slow", 1, "LOADING");
}

#[test]
fn state_directory_errors_hide_its_path() {
    let server = Server::empty();
    let artifacts = server.state().join("artifacts");
    std::fs::remove_dir_all(&artifacts).unwrap();
    std::fs::write(&artifacts, "in the way").unwrap();
    server.models().version("scripted", 1, scripted("version=1"));
    server.until_refused("scripted", 1, "host: ");
    let reason = server.entry("scripted", 1).unwrap().reason;
    assert!(!reason.contains(server.directory().to_str().unwrap()), "{reason}");
}

#[test]
fn a_model_above_128_mib_is_served() {
    let server = Server::with_models(|models| {
        models.settings("large", "[limits]\nmemory = '512MiB'\n");
        models.version("large", 1, scripted("version=1;ballast=130"));
    })
    .start();
    server.until_ready("large", 1);
    assert_eq!(server.version_of("large"), 1);
}
