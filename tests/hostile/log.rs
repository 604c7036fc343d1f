//! A standard error that cannot be written costs log lines and nothing else.

use std::fs::File;
use std::io::pipe;
use std::process::Stdio;

use crate::harness::{Server, Setup, scripted, until};

const DROPPED: &str = "wardian_log_lines_dropped_total";

/// A model that fails on request, with a log line for each failure, beside one that answers.
fn failing() -> Setup {
    Server::with_models(|models| {
        models.settings("failing", "[breaker]\nfaults = 0\n");
        models.version("failing", 1, scripted("version=1"));
        models.version("neighbour", 1, scripted("version=1"));
    })
}

/// Fills the log, and asserts that everything else continues: responses, swaps, metrics and an
/// orderly stop.
fn goes_on_without_a_log(server: Server, fill: impl Fn(&Server)) {
    server.until_ready("failing", 1);
    server.until_ready("neighbour", 1);
    fill(&server);

    server.behave("failing", "trap").refused(500, "model_trapped");
    assert_eq!(server.version_of("neighbour"), 1);
    server.get("/v2/health/live").ok();

    server.models().version("neighbour", 2, scripted("version=2"));
    server.until_version_of("neighbour", 2);
    until("dropped lines in the metrics", || {
        server.metric(DROPPED).is_some_and(|lines| lines > 0.0)
    });

    server.stop();
}

fn fail(server: &Server, times: usize) {
    for _ in 0..times {
        server.behave("failing", "trap").refused(500, "model_trapped");
    }
}

#[test]
fn a_log_without_a_reader_blocks_nothing() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    goes_on_without_a_log(failing().log_to(writer).start(), |server| fail(server, 3));
}

#[test]
fn a_log_on_a_full_disk_blocks_nothing() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    goes_on_without_a_log(failing().log_to(Stdio::from(full)).start(), |server| fail(server, 3));
}

#[test]
fn a_log_with_a_stalled_reader_blocks_nothing() {
    let (reader, writer) = pipe().unwrap();
    // At this level each request writes several lines, so the pipe and the queue are soon full.
    let server = failing().argument("--log-level=trace").log_to(writer).start();
    goes_on_without_a_log(server, |server| {
        until("a full queue", || {
            fail(server, 20);
            server.metric(DROPPED).is_some_and(|lines| lines > 0.0)
        });
    });
    drop(reader);
}
