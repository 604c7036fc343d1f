//! `wardian serve`, where it does not come to serving.

use std::net::TcpListener;
use std::process::Command;

use super::{folder, run, wardian};

#[test]
fn a_sound_configuration_is_told_in_short_and_nothing_is_served() {
    let config = "listen = '127.0.0.1:9'\n[tenants.acme]\nweight = 3\n[tenants.beta]\nrepository = 'elsewhere'\n";
    let folder = folder(config, |_| {});
    let said = wardian(folder.directory(), &["serve", "--check-config"]).exits(0);
    assert_eq!(
        said.out,
        "the configuration is sound\nlisten  127.0.0.1:9, the host's own: no keys\n\
         tenant  acme: weight 3, no keys, in models/acme\ntenant  beta: weight 1, no keys, in elsewhere\n"
    );
    assert!(!folder.directory().join(".wardian").exists());
}

#[test]
fn a_faulty_one_is_told_with_its_place() {
    let folder = folder("[http]\nmax_connections = 10\nmax_conections = 10\n", |_| {});
    let said = wardian(folder.directory(), &["serve", "--check-config"]).exits(1);
    said.complains(&["error: the configuration is not usable: wardian.toml line 3: ", "max_conections"]);
    wardian(folder.directory(), &["serve"]).exits(1).complains(&["wardian.toml line 3: "]);
    folder.models().put("none.toml", "");
    let exposed = ["serve", "--check-config", "--config", "models/none.toml", "--listen", "0.0.0.0:9"];
    wardian(folder.directory(), &exposed).exits(1).complains(&["other machines could reach 0.0.0.0:9", "--insecure"]);
    wardian(folder.directory(), &[&exposed[..], &["--insecure"]].concat()).exits(0);
    wardian(folder.directory(), &["serve", "--listen", "anywhere"]).exits(2);
    wardian(folder.directory(), &["serve", "--log-level", "chatty"]).exits(2).complains(&["error, warn, info"]);
}

#[test]
fn an_address_that_is_taken_is_told_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = folder("", |_| {});
    let said = wardian(folder.directory(), &["serve", "--listen", &address]).exits(1);
    let said = said.complains(&[&format!("error: cannot listen on {address}: Address already in use"), "--listen"]);
    assert_eq!(said.err.matches("already in use").count(), 1, "{said:?}");
}

#[test]
fn an_address_may_be_a_host_name() {
    let folder = folder("", |_| {});
    let check = |listen: &str| wardian(folder.directory(), &["serve", "--check-config", "--listen", listen]);
    check("localhost:9").exits(0).prints(&["listen  127.0.0.1:9,"]);
    check(":8080").exits(2).complains(&["127.0.0.1:8080 is for this machine alone, and 0.0.0.0:8080 for others too"]);
    check("8080").exits(2).complains(&["names no address"]);
    check("localhost").exits(2).complains(&["is not an address like 127.0.0.1:8080"]);
}

#[test]
fn a_value_without_its_quotes_is_told_with_what_it_must_be() {
    let config = "listen = 127.0.0.1:9\ninsecure = no\n[engine]\ninstances = many\nmax_memory = 64MiB\n\
                  [tenants.acme]\nweight = two\n";
    let folder = folder(config, |_| {});
    wardian(folder.directory(), &["serve", "--check-config"]).exits(1).complains(&[
        "wardian.toml line 1: listen: a text needs quotes; write listen = \"127.0.0.1:9\"",
        "wardian.toml line 2: insecure: expected true or false, found \"no\"",
        "wardian.toml line 4: engine.instances: expected a whole number, found \"many\"",
        "wardian.toml line 5: max_memory: a text needs quotes; write max_memory = \"64MiB\"",
        "wardian.toml line 7: tenants.acme.weight: expected a whole number, found \"two\"",
    ]);
}

#[test]
fn a_limit_on_addresses_is_told_with_what_takes_them() {
    let folder = folder("", |_| {});
    let serve = "ulimit -v 100000000 && exec \"$0\" serve --listen 127.0.0.1:0";
    let mut command = Command::new("sh");
    command.current_dir(folder.directory()).args(["-c", serve, env!("CARGO_BIN_EXE_wardian")]);
    run(command).exits(1).complains(&["engine.instances = 1000", "ulimit -v unlimited", "wardian.toml"]);
}
