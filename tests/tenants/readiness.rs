//! The readiness of the server beside a tenant that is not ready.

use std::time::{Duration, Instant};

use super::HOST;
use super::loading::pair;
use crate::harness::{scripted, until};

#[test]
fn slow_models_do_not_block_readiness() {
    let setup = pair("ready_timeout = '2s'\n");
    let a = setup.repository("a");
    (0..30).for_each(|number| {
        a.version(
            &format!("sleeps-{number}"),
            1,
            scripted(&format!("version={number};load=sleep:600000")),
        )
    });
    let server = setup.start();
    let started = Instant::now();
    let (a, b) = (server.holder("a"), server.holder("b"));
    b.until_ready("good", 1);
    assert_eq!(b.behave("good", "ok").ok().number("version"), 1);
    until("that the server is ready", || server.get("/v2/health/ready").status == 200);
    assert!(started.elapsed() < Duration::from_secs(20), "ready after {:?}", started.elapsed());
    server.until_logged("not all of this tenant's models have been tried");

    // A single model's readiness has a route of its own.
    a.until_state("sleeps-5", 1, "LOADING");
    let ready = |name: &str| a.get(&format!("/v2/models/{name}/ready"));
    assert!(ready("sleeps-5").refused(503, "model_not_ready").header("retry-after").is_some());
    ready("good").refused(404, "model_not_found");
    b.get("/v2/models/good/ready").ok();
    assert_eq!(a.get("/v2/health/ready").ok().json(), serde_json::json!({ "ready": true }));
}

#[test]
fn damaged_data_affects_one_tenant() {
    let setup = pair("");
    let keeps = "[capabilities]\nkey_value = true\nsql = true\n";
    let a = setup.repository("a");
    a.settings("keeps", keeps);
    a.version("keeps", 1, scripted("version=1"));
    let folder = setup.state().join("tenants/a");
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["store.sqlite", "database.sqlite"] {
        std::fs::write(folder.join(name), "garbage").unwrap();
    }
    let server = setup.start();
    server.holder("b").until_ready("good", 1);
    until("that the server is ready", || server.get("/v2/health/ready").status == 200);
    let refused = server.holder("a").get("/v2/keyvalue/any");
    assert_eq!(refused.status, 503, "{refused}");
    assert!(!refused.text().contains("store.sqlite"), "{refused}");
    server.until_logged("store.sqlite");
    assert_eq!(std::fs::read(folder.join("store.sqlite")).unwrap(), b"garbage", "it is left alone");
    server.holder("b").get("/v2/keyvalue/any").ok();
    assert_eq!(server.holder("b").behave("good", "ok").ok().number("version"), 1);
}

#[test]
fn a_damaged_version_file_stops_one_tenant() {
    let setup = pair("");
    let a = setup.repository("a");
    a.bare("counted", scripted("version=1"));
    let file = setup.state().join("repository/a/versions.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "garbage").unwrap();
    let server = setup.start();
    server.holder("b").until_ready("good", 1);
    until("that the server is ready", || server.get("/v2/health/ready").status == 200);
    let degraded = || {
        server.holder(HOST).naming("a").get("/v2/health/ready").json()["degraded"]
            .as_str()
            .map(str::to_owned)
    };
    let told = degraded().unwrap();
    assert!(told.contains("version numbers") && !told.contains("versions.json"), "{told}");
    server.until_logged("versions.json");
    let faults = server.holder(HOST).get("/v2/tenants").ok().json()["faults"].to_string();
    assert!(
        faults.contains("repository/a/versions.json") && faults.contains("remove it"),
        "{faults}"
    );
    std::fs::remove_file(&file).unwrap();
    server.holder("a").until_ready("counted", 1);
    assert_eq!(degraded(), None);
}
