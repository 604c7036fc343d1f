//! A tenant with thousands of models that cannot be loaded, beside one that swaps its own model.

use std::fs;
use std::time::{Duration, Instant};

use super::loading::pair;
use super::{HOST, tenant, write};
use crate::harness::{Models, Server, scripted, until};

/// Enough folders to delay all other tenants by half a minute if they were handled in one task.
const FOLDERS: usize = 8000;

/// Writes complete components that are not models: 16 bytes, each with a content of its own.
fn add_flood(models: &Models, folders: std::ops::Range<usize>) {
    for number in folders {
        let folder = models.path(&format!("k{number}/1"));
        fs::create_dir_all(&folder).unwrap();
        let section = [0, 6, 1, b'x'];
        let number = u32::try_from(number).unwrap().to_le_bytes();
        fs::write(
            folder.join("model.wasm"),
            [b"\0asm\x0d\0\x01\0".as_slice(), &section, &number].concat(),
        )
        .unwrap();
    }
}

/// Writes a new version of `b`'s model, and returns the time until it served.
fn swap(server: &Server, version: u64) -> Duration {
    let begun = Instant::now();
    server.repository("b").version("good", version, scripted(&format!("version={version}")));
    server.holder("b").until_ready("good", version);
    begun.elapsed()
}

#[test]
fn thousands_of_faulty_models_delay_no_other_tenant() {
    let setup = pair("");
    write(&setup.repository("tenants"), "a", &tenant("a", "a", "quota.models = 1\n"));
    let server = setup.start();
    server.holder("b").until_ready("good", 1);
    let alone = swap(&server, 2);

    add_flood(&server.repository("a"), 0..FOLDERS);
    let seen = format!("k{}", FOLDERS - 1);
    until("that the flood has been seen", || server.holder("a").entry(&seen, 1).is_some());
    let index = Instant::now();
    server.holder("b").entry("good", 2).unwrap();
    let index = index.elapsed();
    let beside = [3, 4].map(|version| swap(&server, version));
    let allowed = alone * 2 + Duration::from_secs(3);
    assert!(
        beside.iter().all(|took| *took < allowed),
        "{beside:?} beside the flood, {alone:?} alone"
    );
    assert!(index < Duration::from_secs(2), "the index took {index:?}");

    let stopping = Instant::now();
    let setup = server.stop();
    assert!(stopping.elapsed() < Duration::from_secs(10), "stopping took {:?}", stopping.elapsed());
    let started = Instant::now();
    let server = setup.start();
    server.holder("b").until_ready("good", 4);
    assert!(started.elapsed() < Duration::from_secs(10), "b served after {:?}", started.elapsed());
    let lines = server.log().lines().filter(|line| line.contains("cannot serve")).count();
    assert!(lines <= 101, "{lines} lines about versions that cannot serve");
}

#[test]
fn too_many_versions_degrade_the_repository() {
    let setup = pair("max_versions = 20\n");
    let a = setup.repository("a");
    a.version("served", 1, scripted("version=1"));
    let server = setup.start();
    server.holder("a").until_ready("served", 1);

    add_flood(&a, 0..40);
    let degraded = || {
        server.holder("a").get("/v2/health/ready").json()["degraded"].as_str().map(str::to_owned)
    };
    until("that the repository is degraded", || {
        degraded().is_some_and(|why| why.contains("max_versions"))
    });
    assert_eq!(server.holder("a").behave("served", "ok").ok().number("version"), 1);
    a.version("served", 2, scripted("version=2"));
    server.holder("a").until_ready("served", 2);
    assert!(server.holder("a").entry("k9", 1).is_none(), "it comes last by name");

    (0..30).for_each(|number| a.remove(&format!("k{number}")));
    until("that the repository is whole", || degraded().is_none());
    server.holder("a").until_state("k39", 1, "UNAVAILABLE");
    assert_eq!(
        server.holder(HOST).naming("b").get("/v2/health/ready").json()["degraded"].as_str(),
        None
    );
}
