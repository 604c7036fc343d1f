//! The log of a guest: attributed to it, and limited in amount.

use crate::engine::puppet_with;
use crate::harness::{Server, puppet};

#[test]
fn a_line_is_logged_under_the_models_name() {
    let server = puppet_with("");
    server.behave("puppet", "log").ok();
    server.until_logged("the script says to log");
    let log = server.log();
    let line = log.lines().find(|line| line.contains("the script says to log")).unwrap();
    for part in ["WARN", "wardian::guest", "tenant=default", "model=puppet", "version=1"] {
        assert!(line.contains(part), "'{part}' is missing in {line}");
    }
}

#[test]
fn a_flood_during_load_is_truncated() {
    let server =
        Server::with_models(|models| models.bare("puppet", puppet("version=1;load=log-flood")))
            .start();
    server.until_version_of("puppet", 1);
    let lines = server.log().matches("of the flood").count();
    assert!((1..1000).contains(&lines), "{lines} lines");
}

#[test]
fn a_flood_of_lines_is_truncated() {
    let server = puppet_with("");
    for (count, word) in (1..).zip(["log-flood", "stdout-flood", "stderr-flood"]) {
        server.behave("puppet", word).ok();
        server.until_logged("of the flood");
        let cut = "this call has logged 64 KiB; the rest is dropped";
        crate::harness::until("the cut", || server.log().matches(cut).count() == count);
    }
    let lines = server.log().matches("of the flood").count();
    assert!(lines < 3 * 1000, "{lines} lines");
    // The limit is per call.
    server.behave("puppet", "log").ok();
    server.until_logged("the script says to log");
    // The limit holds for all calls together as well.
    crate::harness::until("lines that are dropped", || {
        server.behave("puppet", "log-flood").ok();
        server.metric("wardian_tenant_log_lines_dropped_total{tenant=\"default\"}") > Some(0.0)
    });
}
