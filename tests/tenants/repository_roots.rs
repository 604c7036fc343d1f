//! Repositories below folders that others may change: the path is checked at each scan.

use std::fs;
use std::os::unix::fs::symlink;

use super::loading::pair;
use super::{HOST, setup, tenant, until_known, write};
use crate::harness::{Server, Setup, scripted, until};

/// A server, not yet started, with tenants `a` and `b`, whose repositories are in folders of their
/// own.
fn homes() -> Setup {
    let setup = setup("poll_interval = '20ms'\nsettle = '20ms'\nrescan_interval = '100ms'\n");
    for name in ["a", "b"] {
        write(
            &setup.repository("tenants"),
            name,
            &tenant(&format!("homes/{name}/models"), name, ""),
        );
    }
    setup.repository("homes/a/models").version("secret", 1, scripted("version=1"));
    setup.repository("homes/b/models").version("good", 1, scripted("version=2"));
    setup
}

/// Waits until a tenant's repository is degraded for a reason that contains `words`.
fn until_degraded(server: &Server, name: &str, words: &str) -> String {
    let told = || {
        server.holder(name).get("/v2/health/ready").json()["degraded"].as_str().map(str::to_owned)
    };
    until(&format!("'{words}' for {name}"), || told().is_some_and(|told| told.contains(words)));
    told().unwrap()
}

fn faults(server: &Server) -> String {
    server.holder(HOST).get("/v2/tenants").ok().json()["faults"].to_string()
}

fn statuses(server: &Server, name: &str, model: &str) -> [u16; 2] {
    let (path, holder) = (format!("/v2/repository/models/{model}/versions"), server.holder(name));
    let put = holder.call("PUT", &format!("{path}/2")).body(scripted("version=9")).send().status;
    [put, holder.call("DELETE", &format!("{path}/1")).send().status]
}

#[test]
fn a_root_swapped_for_a_link_is_not_entered() {
    let server = homes().start();
    server.holder("a").until_ready("secret", 1);
    server.holder("b").until_ready("good", 1);
    let home = server.repository("homes/b");
    fs::rename(home.path("models"), home.path("old")).unwrap();
    symlink("../a/models", home.path("models")).unwrap();

    let told = until_degraded(&server, "b", "symbolic link");
    assert!(!told.contains("homes"), "{told}");
    assert!(faults(&server).contains("homes/b/models"), "{}", faults(&server));
    assert_eq!(server.holder("b").behave("good", "ok").ok().number("version"), 2);
    assert_eq!(server.holder("b").behave("secret", "ok").status, 404);
    assert_eq!(statuses(&server, "b", "secret"), [503, 503]);
    let untouched = |server: &Server| {
        let models = server.repository("homes/a/models");
        assert!(models.path("secret/1/model.wasm").exists() && !models.path("secret/2").exists());
        assert_eq!(server.holder("a").behave("secret", "ok").ok().number("version"), 1);
    };
    untouched(&server);

    // After a restart the link is part of the configured path, and the repositories overlap.
    let server = server.stop().start();
    server.holder("a").until_ready("secret", 1);
    until_degraded(&server, "b", "overlaps with that of another tenant");
    assert!(faults(&server).contains("that of tenant 'a'"), "{}", faults(&server));
    assert_eq!(statuses(&server, "b", "secret"), [503, 503]);
    untouched(&server);

    let home = server.repository("homes/b");
    fs::remove_file(home.path("models")).unwrap();
    fs::rename(home.path("old"), home.path("models")).unwrap();
    server.holder("b").until_ready("good", 1);
    until("that b is well again", || faults(&server) == "[]");
}

#[test]
fn a_start_accepts_a_link_and_logs_its_target() {
    let server = homes().start();
    server.holder("b").until_ready("good", 1);
    let home = server.repository("homes/b");
    fs::rename(home.path("models"), home.path("moved")).unwrap();
    symlink("moved", home.path("models")).unwrap();
    until_degraded(&server, "b", "restart the server to accept the link");
    assert!(!server.log().contains("homes/b/moved"), "{}", server.log());

    let server = server.stop().start();
    server.holder("b").until_ready("good", 1);
    let log = server.log();
    let mut accepted = log.lines().filter(|line| line.contains("leads over symbolic links"));
    assert!(accepted.any(|line| line.contains("homes/b/moved")), "{log}");
    assert_eq!(statuses(&server, "b", "good"), [201, 200]);
}

#[test]
fn a_recreated_root_is_served() {
    let server = homes().start();
    server.holder("b").until_ready("good", 1);
    let home = server.repository("homes/b");
    fs::rename(home.path("models"), home.path("old")).unwrap();
    until_degraded(&server, "b", "cannot be read");
    server.repository("homes/b/models").version("good", 3, scripted("version=3"));
    server.holder("b").until_ready("good", 3);
    assert_eq!(statuses(&server, "b", "good"), [201, 404]);
}

#[test]
fn the_state_directory_is_not_a_repository() {
    let setup = pair("");
    for (name, target) in [("within", "state/tenants"), ("around", ".")] {
        symlink(target, setup.directory().join(name)).unwrap();
    }
    for (name, repository) in
        [("state", "state"), ("within", "within"), ("files", "tenants"), ("around", "around")]
    {
        write(&setup.repository("tenants"), name, &tenant(repository, name, ""));
    }
    fs::create_dir_all(setup.state().join("tenants")).unwrap();
    let server = setup.start();
    server.holder("b").until_ready("good", 1);
    until_known(&server.holder("state"));
    for (name, what) in [
        ("state", "state directory"),
        ("within", "state directory"),
        ("files", "folder of tenants"),
    ] {
        until_degraded(&server, name, &format!("overlaps with the server's own {what}"));
    }
    until_degraded(&server, "around", "overlaps with");
    assert_eq!(server.holder("b").behave("good", "ok").ok().number("version"), 1);
}
