//! When the server is ready, beside a tenant that is not.

use super::HOST;
use super::loading::pair;
use crate::harness::{puppet, until};

#[test]
fn one_tenants_slow_models_do_not_keep_the_server_from_being_ready() {
    let setup = pair("ready_timeout = '2s'\n");
    let a = setup.repository("a");
    (0..6).for_each(|number| {
        a.version(&format!("sleeps-{number}"), 1, puppet(&format!("version={number};load=sleep:600000")))
    });
    let server = setup.start();
    server.holder("b").until_ready("good", 1);
    assert_eq!(server.holder("b").behave("good", "ok").ok().number("version"), 1);
    until("that the server is ready", || server.get("/v2/health/ready").status == 200);
    server.until_logged("not all of this tenant's models have been tried");
    server.holder("a").until_state("sleeps-5", 1, "LOADING");
}

#[test]
fn a_damaged_file_of_one_tenant_stops_that_tenant_alone() {
    let setup = pair("");
    let a = setup.repository("a");
    a.bare("counted", puppet("version=1"));
    let file = setup.state().join("repository/a/versions.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "garbage").unwrap();
    let server = setup.start();
    server.holder("b").until_ready("good", 1);
    until("that the server is ready", || server.get("/v2/health/ready").status == 200);
    let degraded =
        || server.holder(HOST).naming("a").get("/v2/health/ready").json()["degraded"].as_str().map(str::to_owned);
    let told = degraded().unwrap();
    assert!(told.contains("version numbers") && !told.contains("versions.json"), "{told}");
    server.until_logged("versions.json");
    std::fs::remove_file(&file).unwrap();
    server.holder("a").until_ready("counted", 1);
    assert_eq!(degraded(), None);
}
