//! The memory of a version is freed when the version is retired.

use std::fs;

use crate::harness::{Pending, Server, guest, scripted, until};

const MIB: u64 = 1 << 20;
const ROUNDS: usize = 20;

/// A third of what a single round would leave behind if its weights stayed. The rest is noise of
/// the allocator: arenas of threads that started during the rounds.
const NOISE: u64 = 20 * MIB;

#[test]
fn a_large_models_memory_is_freed() {
    let server =
        Server::with_models(|models| models.bare("scripted", scripted("ballast=64"))).start();
    let round = |number: usize| {
        server.load("scripted").ok();
        let answer = server.behave("scripted", "ok");
        assert_eq!(answer.json()["parameters"]["ballast"], 64 * MIB, "{answer}");
        server.unload("scripted").ok();
        until("the unloading", || {
            server.log().matches("unloaded model=default/scripted").count() == number
        });
    };
    (1..=3).for_each(round);
    let early = server.resident();
    (4..=3 + ROUNDS).for_each(round);
    until("an end of all mappings", || mapped_artifacts(&server) == 0);
    let late = server.resident();
    eprintln!(
        "resident: {} MiB after 3 rounds, {} MiB after {ROUNDS} more",
        early / MIB,
        late / MIB
    );
    assert!(late < early + NOISE, "resident memory went from {early} to {late} bytes");
}

#[test]
fn memory_of_unread_responses_is_freed() {
    let server = Server::with_models(|models| {
        models.settings(
            "upper",
            "[limits]\nmemory = '128MiB'\ndeadline = '10m'\ncpu_time = '10m'\n[instances]\nmax = 2",
        );
        models.version("upper", 1, guest("upper"));
    })
    .start();
    server.until_ready("upper", 1);
    let before = server.resident();
    let unread: Vec<_> = (0..40).map(|_| begin_large(&server)).collect();
    until("that all answers wait", || server.resident() > before + 40 * 8 * MIB);
    unread.into_iter().for_each(|pending| pending.hang_up());
    // The memory that two slots keep for their next instances stays. The rest returns although
    // nothing is asked of the server.
    until("the memory", || server.resident() < before + 64 * MIB);
}

/// Begins a request that converts 8 MiB of text to upper case.
fn begin_large(server: &Server) -> Pending {
    let size = 8 * MIB as usize;
    let head = serde_json::json!({
        "inputs": [{ "name": "text", "datatype": "BYTES", "shape": [1], "parameters": { "binary_data_size": size } }],
        "parameters": { "binary_data_output": true },
    });
    let head = head.to_string();
    let text = vec![b'x'; size - 4];
    let body = [head.as_bytes(), &(text.len() as u32).to_le_bytes(), &text].concat();
    let call = server
        .call("POST", "/v2/models/upper/infer")
        .header("content-type", "application/octet-stream");
    call.header("inference-header-content-length", &head.len().to_string()).body(body).begin()
}

#[test]
fn replaced_versions_are_unmapped() {
    let server =
        Server::with_models(|models| models.bare("scripted", scripted("version=1"))).start();
    server.until_version_of("scripted", 1);
    // The shared code, and the state of the version.
    assert_eq!(mapped_code(&server), 2);
    for version in 2..=5 {
        server.models().bare("scripted", scripted(&format!("version={version}")));
        server.until_version_of("scripted", version);
    }
    until("that only the last one's state is mapped", || mapped_code(&server) == 2);
    until("the counts of one version", || {
        let metrics = server.get("/metrics").text();
        metrics.lines().filter(|line| line.starts_with("wardian_requests_total{")).count() == 1
    });
}

/// Returns the number of mappings of compiled models: their code, their data, and the memory of
/// warm slots.
fn mapped_artifacts(server: &Server) -> usize {
    artifact_maps(server).len()
}

/// Returns the number of compiled files that are mapped.
fn mapped_code(server: &Server) -> usize {
    artifact_maps(server).iter().filter(|line| line.contains("r-xp")).count()
}

fn artifact_maps(server: &Server) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{}/maps", server.process_id())).unwrap();
    maps.lines().filter(|line| line.contains("model.cwasm")).map(str::to_owned).collect()
}
