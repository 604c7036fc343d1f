//! Compiled artifacts: each tenant has its own, and they count against its storage quota.

use std::fs;
use std::path::Path;

use super::{HOST, setup, tenant, write};
use crate::harness::{Server, scripted, until};

const MB: u64 = 1_000_000;

/// Returns the bytes of all files in a folder; 0 if the folder is missing.
fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        // The file was removed meanwhile.
        Err(_) => 0,
    };
    entries.map(size).sum()
}

fn of_tenant(server: &Server, name: &str) -> u64 {
    size_of(&server.state().join("artifacts").join(name))
}

#[test]
fn artifacts_are_not_shared_between_tenants() {
    let setup = setup("").compiles_anew();
    for name in ["a", "b"] {
        write(&setup.repository("tenants"), name, &tenant(name, name, ""));
    }
    setup.repository("a").version("one", 1, scripted("version=1"));
    setup.repository("a").version("two", 1, scripted("version=1"));
    let server = setup.start();
    ["one", "two"].iter().for_each(|model| server.holder("a").until_ready(model, 1));
    let loads = |name: &str| {
        server.holder(name).get("/v2/logs").ok().text().matches("scripted loads version 1").count()
    };
    assert_eq!(loads("a"), 1, "models of one tenant share an artifact");
    server.repository("b").version("one", 1, scripted("version=1"));
    server.holder("b").until_ready("one", 1);
    assert_eq!(loads("b"), 1);
    assert!(of_tenant(&server, "a") > 0 && of_tenant(&server, "a") == of_tenant(&server, "b"));
}

#[test]
fn unused_artifacts_make_room_in_storage() {
    let setup = setup("").compiles_anew();
    let quota = "[quota]\nstorage = '12MB'\n";
    write(&setup.repository("tenants"), "a", &tenant("a", "a", quota));
    write(&setup.repository("tenants"), "b", &tenant("b", "b", ""));
    setup.repository("a").version("scripted", 1, scripted("version=1;ballast=4"));
    setup.repository("b").version("scripted", 1, scripted("version=1;ballast=16"));
    let server = setup.start();
    let a = server.holder("a");
    a.until_ready("scripted", 1);
    server.holder("b").until_ready("scripted", 1);
    // The artifact of a replaced version makes room for the next ones.
    for version in 2..5 {
        server.repository("a").version(
            "scripted",
            version,
            scripted(&format!("version={version};ballast=4")),
        );
        a.until_ready("scripted", version);
    }
    let usage = || server.holder(HOST).naming("a").get("/v2/usage").ok().json()["quota"].clone();
    let [storage, artifacts] =
        ["storage", "artifacts"].map(|name| usage()[name]["used"].as_u64().unwrap());
    assert_eq!(storage, size_of(&server.repository("a").path("scripted")));
    assert_eq!(artifacts, of_tenant(&server, "a"));
    assert!(artifacts > 4 * MB && storage + artifacts <= 12 * MB, "{}", usage());
    // A version that can never fit is refused, with the numbers, and is not compiled repeatedly.
    server.repository("a").version("large", 1, scripted("version=9;ballast=16"));
    a.until_refused("large", 1, "of this tenant's quota of 12000000 bytes for storage");
    let refusal = a.entry("large", 1).unwrap().reason;
    assert!(refusal.starts_with("quota: ") && refusal.contains("raise quota.storage"), "{refusal}");
    let loads = || server.log().matches("scripted loads version 9").count();
    let before = loads();
    let failures = || {
        let metrics = a.get("/metrics").text();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("wardian_load_failures_total"))
            .map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    let tried = failures();
    until("that it is tried again", || failures() > tried);
    assert_eq!(loads(), before);
    assert!(of_tenant(&server, "a") <= 12 * MB);
}
