//! Faulty tenant files.

use serde_json::Value;

use super::{EAGER, HOST, add_scripted, key, setup, tenant, until_known, write};
use crate::harness::{Server, until};

fn faults(server: &Server) -> Vec<String> {
    let all = server.holder(HOST).get("/v2/tenants").ok().json();
    all["faults"].as_array().unwrap().iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn until_faults(server: &Server, words: &[&str]) {
    until(&format!("faults with {words:?}"), || {
        let faults = faults(server).join("\n");
        words.iter().all(|words| faults.contains(words))
    });
}

#[test]
fn a_faulty_file_keeps_the_old_settings() {
    let setup = setup(EAGER);
    let folder = setup.repository("tenants");
    write(&folder, "a", &tenant("a", "a-key", "weight = 2"));
    add_scripted(&setup.repository("a"), "scripted", 1);
    let server = setup.start();
    server.until_tried();
    assert_eq!(faults(&server), [""; 0]);
    let a = server.holder("a-key");

    let bad_key = "{ id = 'x y', sha256 = '12', scopes = ['everything'] }";
    write(
        &folder,
        "a",
        &format!(
            "wieght = 3\nkeys = [{bad_key}]\n[quota]\nmemory = -1\n[grants]\nhttp = ['ftp://x']"
        ),
    );
    let wrong = [
        "a.toml line 1: wieght",
        "keys[0].id",
        "keys[0].sha256",
        "keys[0].scopes",
        "quota.memory",
        "grants.http",
    ];
    until_faults(&server, &wrong);
    server.until_logged("refused, and what it said before stays in force");
    wrong.iter().for_each(|words| server.until_logged(words));
    a.behave("scripted", "ok").ok();
    assert_eq!(a.get("/v2/usage").ok().json()["weight"], 2);

    // Another file still applies. Its repository exists, because a missing one would be reported as
    // well.
    server.repository("b");
    write(&folder, "b", &tenant("b", "b-key", ""));
    until_known(&server.holder("b-key"));
    // A file that conflicts with another one does not apply, and neither do the files read with it.
    write(&folder, "c", &tenant("b", "c-key", ""));
    until_faults(&server, &["c.toml", "b.toml", "wieght"]);
    write(&folder, "d", &tenant("d", "a-key", ""));
    until_faults(&server, &["d.toml"]);
    server.holder("c-key").get("/v2/usage").refused(401, "unknown_key");
    assert_eq!(a.get("/v2/usage").ok().json()["tenant"], "a");
    server.holder("b-key").get("/v2/usage").ok();
    // Only the host's own key may read the faults.
    a.get("/v2/tenants").refused(403, "forbidden");

    for name in ["c.toml", "d.toml"] {
        folder.remove(name);
    }
    write(
        &folder,
        "a",
        &format!("weight = 5\nrepository = 'a'\nkeys = [{}]", key("a-key", &["infer"])),
    );
    until("the end of all faults", || faults(&server).is_empty());
    until("the other weight", || a.get("/v2/usage").ok().json()["weight"] == 5);
    a.behave("scripted", "ok").ok();
}
