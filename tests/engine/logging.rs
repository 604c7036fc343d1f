//! The log of a guest: attributed to it, and limited in amount.

use crate::engine::scripted_with;
use crate::harness::{Server, scripted};

#[test]
fn a_line_is_logged_under_the_models_name() {
    let server = scripted_with("");
    server.behave("scripted", "log").ok();
    server.until_logged("the script says to log");
    let log = server.log();
    let line = log.lines().find(|line| line.contains("the script says to log")).unwrap();
    for part in ["WARN", "wardian::guest", "tenant=default", "model=scripted", "version=1"] {
        assert!(line.contains(part), "'{part}' is missing in {line}");
    }
}

#[test]
fn a_flood_during_load_is_truncated() {
    let server =
        Server::with_models(|models| models.bare("scripted", scripted("version=1;load=log-flood")))
            .start();
    server.until_version_of("scripted", 1);
    let lines = server.log().matches("of the flood").count();
    assert!((1..1000).contains(&lines), "{lines} lines");
}

#[test]
fn a_flood_of_lines_is_truncated() {
    let server = scripted_with("");
    for (count, word) in (1..).zip(["log-flood", "stdout-flood", "stderr-flood"]) {
        server.behave("scripted", word).ok();
        server.until_logged("of the flood");
        let cut = "this call has logged 64 KiB; the rest is dropped";
        crate::harness::until("the cut", || server.log().matches(cut).count() == count);
    }
    let lines = server.log().matches("of the flood").count();
    assert!(lines < 3 * 1000, "{lines} lines");
    // The limit is per call.
    server.behave("scripted", "log").ok();
    server.until_logged("the script says to log");
    // The limit holds for all calls together as well.
    crate::harness::until("lines that are dropped", || {
        server.behave("scripted", "log-flood").ok();
        server.metric("wardian_tenant_log_lines_dropped_total{tenant=\"default\"}") > Some(0.0)
    });
}
