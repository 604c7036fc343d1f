//! `wardian serve`, where it does not come to serving.

use std::net::TcpListener;

use super::{folder, wardian};

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
    let said = said.complains(&[&format!("error: cannot listen on {address}: Address already in use")]);
    assert_eq!(said.err.matches("already in use").count(), 1, "{said:?}");
}
