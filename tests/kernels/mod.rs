//! The kernels of the host, used by a guest rightly and wrongly.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Server, guest, scripted};
use crate::hostile::{beside_a_neighbour, harms_no_other};

const MODEL: &str = "kernel-calls";

/// Serves the guest with these settings.
fn serve(settings: &str) -> Server {
    let server = Server::with_models(|models| {
        models.settings(MODEL, &format!("{settings}\n[breaker]\nfaults = 0\n"));
        models.version(MODEL, 1, guest(MODEL));
    })
    .start();
    server.until_ready(MODEL, 1);
    server
}

fn steps(steps: &[&str]) -> Value {
    json!({ "inputs": [{ "name": "steps", "datatype": "BYTES", "shape": [steps.len()], "data": steps }] })
}

/// Takes one step, and returns its result.
#[track_caller]
fn take(server: &Server, step: &str) -> String {
    let response = server.infer(MODEL, &steps(&[step]));
    response.output("results")[0].as_str().unwrap().to_owned()
}

#[test]
fn the_host_computes_for_a_guest() {
    let server = serve("");
    for step in ["matmul", "integer-matmul", "conv2d", "softmax"] {
        assert_eq!(take(&server, step), "right", "{step}");
    }
    assert_eq!(take(&server, "valid"), "done");
}

#[test]
fn a_guest_without_the_grant_computes_the_same_itself() {
    let server = serve("[capabilities]\nkernels = false\n");
    for step in ["matmul", "integer-matmul", "conv2d", "softmax"] {
        assert_eq!(take(&server, step), "right", "{step}");
    }
    assert_eq!(take(&server, "valid"), "not granted");
}

#[test]
fn calls_that_do_not_fit_are_refused_with_the_reason() {
    let server = serve("");
    for (step, reason) in [
        ("overlap", "left and the output overlap"),
        ("same", "left and the output overlap"),
        ("outside", "left ends at byte 4294967296, and the memory at byte"),
        ("beyond", "the output ends at byte"),
        ("unaligned", "left is not aligned to its numbers"),
        ("torn", "right is not aligned to its numbers, or not a whole number of them"),
        ("short", "left has 15 elements and needs 16"),
        ("zero", "the inner size is 0"),
        ("huge", "left has 16 elements and needs"),
        ("wrap", "left has 16 elements and needs"),
        ("interleaved", "the strides make rows of the output overlap"),
        ("packed", "the packed right has 16 elements and needs 64"),
        ("late", "the position to continue at is too large"),
        ("two-biases", "there are biases of columns and of rows"),
        ("null", "left has 0 elements and needs 16"),
        ("pack", "the packed matrix"),
        ("size", "the size is too large"),
        ("convolution", "the padded image is too large"),
        ("softmax-outside", "the output ends at byte"),
        ("softmax-short", "the matrix has 16 elements and needs"),
        ("softmax-wide", "the number of columns is too large"),
        ("softmax-zero", "the number of rows is 0"),
    ] {
        let result = take(&server, step);
        assert!(result.starts_with(reason), "{step}: {result}");
    }
    assert_eq!(take(&server, "matmul"), "right", "nothing is left behind");
}

#[test]
fn calls_end_at_the_deadline() {
    let server = serve("[limits]\nmemory = '64MiB'\ndeadline = '10m'\ncpu_time = '10m'\n");
    let call = server.call("POST", &format!("/v2/models/{MODEL}/infer"));
    let late = call.header("wardian-deadline-ms", "300").json(&steps(&["endless"])).send();
    late.refused(504, "deadline_exceeded");
}

#[test]
fn calls_end_with_the_guest_s_cpu_time_with_or_without_a_loop() {
    let server = serve("[limits]\nmemory = '64MiB'\ndeadline = '10m'\ncpu_time = '20ms'\n");
    let used = || server.metric("wardian_tenant_cpu_seconds_total{tenant=\"default\"}").unwrap();

    for step in ["endless", "straight"] {
        let before = used();
        server.infer(MODEL, &steps(&[step])).refused(504, "cpu_time_exceeded");
        let used = used() - before;
        // The 1024 calls of `straight` write four gigabytes, which takes a quarter of a second.
        assert!((0.015..0.08).contains(&used), "{step}: {used}");
    }
}

#[test]
fn the_cpu_time_of_helpers_counts_for_the_call_and_its_tenant() {
    let server = serve(
        "[instances]\nthreads = 2\n\
         [limits]\nmemory = '64MiB'\ndeadline = '10m'\ncpu_time = '400ms'\n",
    );
    let used = || server.metric("wardian_tenant_cpu_seconds_total{tenant=\"default\"}").unwrap();

    let before = used();
    server.infer(MODEL, &steps(&["endless"])).refused(504, "cpu_time_exceeded");
    let used = used() - before;
    // It would be 0.8 if each thread had this time to itself.
    assert!((0.39..0.5).contains(&used), "{used}");

    // With one core there is no turn for a helper.
    let helped = cpu_time_of_threads(&server, "helper");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(helped > Duration::from_millis(20), cores > 1, "{helped:?} on {cores} cores");
}

#[test]
fn a_model_with_one_thread_starts_no_helper() {
    let server = serve("[limits]\nmemory = '64MiB'\ndeadline = '10m'\ncpu_time = '20ms'\n");
    server.infer(MODEL, &steps(&["endless"])).refused(504, "cpu_time_exceeded");
    assert_eq!(cpu_time_of_threads(&server, "helper"), Duration::ZERO);
}

/// Returns the CPU time of a server's threads of a name.
fn cpu_time_of_threads(server: &Server, name: &str) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.process_id())).unwrap();
    let time = |task: fs::DirEntry| {
        let read = |file| fs::read_to_string(task.path().join(file)).ok();
        let is_named = read("comm")?.trim_end() == name;
        let nanoseconds = read("schedstat")?.split(' ').next()?.parse().ok()?;
        is_named.then(|| Duration::from_nanos(nanoseconds))
    };
    tasks.flatten().filter_map(time).sum()
}

#[test]
fn endless_calls_do_not_keep_a_neighbour_waiting() {
    for threads in [1, 2] {
        beside_endless_calls(threads);
    }
}

fn beside_endless_calls(threads: u32) {
    let server = beside_a_neighbour(|models| {
        models.settings(
            MODEL,
            &format!("[instances]\nthreads = {threads}\n[limits]\nmemory = '64MiB'\ndeadline = '10m'\ncpu_time = '50ms'\n[breaker]\nfaults = 0\n"),
        );
        models.version(MODEL, 1, guest(MODEL));
        models.version("scripted", 1, scripted("version=1"));
    })
    .start();
    server.until_ready(MODEL, 1);

    harms_no_other(&server, || {
        for step in ["endless", "straight"] {
            server.infer(MODEL, &steps(&[step])).refused(504, "cpu_time_exceeded");
        }
    });
}
