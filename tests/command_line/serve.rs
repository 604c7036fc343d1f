//! `wardian serve`, in cases where it does not start.

use std::net::TcpListener;
use std::process::Command;

use super::{folder, run, wardian};
use crate::harness::Server;

#[test]
fn a_valid_configuration_is_summarised() {
    let config = "listen = '127.0.0.1:9'\n[tenants.acme]\nweight = 3\n[tenants.beta]\nrepository = 'elsewhere'\n";
    let folder = folder(config, |_| {});
    let output = wardian(folder.directory(), &["serve", "--check-config"]).expect_code(0);
    assert_eq!(
        output.stdout,
        "the configuration is sound\nlisten  127.0.0.1:9, the host's own: no keys\n\
         tenant  acme: weight 3, no keys, in models/acme\ntenant  beta: weight 1, no keys, in elsewhere\n"
    );
    assert!(!folder.directory().join(".wardian").exists());
}

#[test]
fn a_configuration_fault_is_reported_with_its_line() {
    let folder = folder("[http]\nmax_connections = 10\nmax_conections = 10\n", |_| {});
    let output = wardian(folder.directory(), &["serve", "--check-config"]).expect_code(1);
    output.expect_stderr(&[
        "error: the configuration is not usable: wardian.toml line 3: ",
        "max_conections",
    ]);
    wardian(folder.directory(), &["serve"])
        .expect_code(1)
        .expect_stderr(&["wardian.toml line 3: "]);
    folder.models().put("none.toml", "");
    let exposed =
        ["serve", "--check-config", "--config", "models/none.toml", "--listen", "0.0.0.0:9"];
    wardian(folder.directory(), &exposed)
        .expect_code(1)
        .expect_stderr(&["other machines could reach 0.0.0.0:9", "--insecure"]);
    wardian(folder.directory(), &[&exposed[..], &["--insecure"]].concat()).expect_code(0);
    wardian(folder.directory(), &["serve", "--listen", "anywhere"]).expect_code(2);
    wardian(folder.directory(), &["serve", "--log-level", "chatty"])
        .expect_code(2)
        .expect_stderr(&["error, warn, info"]);
}

#[test]
fn a_low_descriptor_limit_is_noted() {
    let folder = folder("", |_| {});
    let mut command = Command::new("sh");
    let script = "ulimit -n 256 && exec \"$0\" serve --check-config";
    command.current_dir(folder.directory()).args(["-c", script, env!("CARGO_BIN_EXE_wardian")]);
    let words =
        ["http.max_connections is 4096", "it may have 256", "only 120 connections", "LimitNOFILE="];
    run(command).expect_code(0).expect_stderr(&words);
}

#[test]
fn an_address_in_use_is_reported_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = folder("", |_| {});
    let output = wardian(folder.directory(), &["serve", "--listen", &address]).expect_code(1);
    let output = output.expect_stderr(&[
        &format!("error: cannot listen on {address}: Address already in use"),
        "--listen",
    ]);
    assert_eq!(output.stderr.matches("already in use").count(), 1, "{output:?}");
}

#[test]
fn an_address_may_be_a_host_name() {
    let folder = folder("", |_| {});
    let check = |listen: &str| {
        wardian(folder.directory(), &["serve", "--check-config", "--listen", listen])
    };
    check("localhost:9").expect_code(0).expect_stdout(&["listen  127.0.0.1:9,"]);
    check(":8080").expect_code(2).expect_stderr(&[
        "127.0.0.1:8080 is for this machine alone, and 0.0.0.0:8080 for others too",
    ]);
    check("8080").expect_code(2).expect_stderr(&["names no address"]);
    check("localhost").expect_code(2).expect_stderr(&["is not an address like 127.0.0.1:8080"]);
}

#[test]
fn an_unquoted_value_is_explained() {
    let config = "listen = 127.0.0.1:9\ninsecure = no\n[engine]\ninstances = many\nmax_memory = 64MiB\n\
                  [tenants.acme]\nweight = two\n";
    let folder = folder(config, |_| {});
    wardian(folder.directory(), &["serve", "--check-config"]).expect_code(1).expect_stderr(&[
        "wardian.toml line 1: listen: a text needs quotes; write listen = \"127.0.0.1:9\"",
        "wardian.toml line 2: insecure: expected true or false, found \"no\"",
        "wardian.toml line 4: engine.instances: expected a whole number, found \"many\"",
        "wardian.toml line 5: max_memory: a text needs quotes; write max_memory = \"64MiB\"",
        "wardian.toml line 7: tenants.acme.weight: expected a whole number, found \"two\"",
    ]);
}

#[test]
fn an_address_space_limit_is_explained() {
    let folder = folder("", |_| {});
    let serve = "ulimit -v 100000000 && exec \"$0\" serve --listen 127.0.0.1:0";
    let mut command = Command::new("sh");
    command.current_dir(folder.directory()).args(["-c", serve, env!("CARGO_BIN_EXE_wardian")]);
    run(command).expect_code(1).expect_stderr(&[
        "engine.instances = 1000",
        "ulimit -v unlimited",
        "wardian.toml",
    ]);
}

/// Names and contents of files.
type Files = &'static [(&'static str, &'static str)];

/// Configurations that `serve` refuses, files beside them, and words of the error.
const REFUSED: [(&str, Files, &str); 9] = [
    ("[egress]\nca_certificates = 'none.pem'", &[], "cannot read certificates from none.pem"),
    ("[egress]\nca_certificates = 'empty.pem'", &[("empty.pem", "")], "there is none in it"),
    (
        "[egress]\nca_certificates = 'text.pem'",
        &[("text.pem", "no certificate")],
        "cannot read certificates from text.pem",
    ),
    ("[egress]\nca_certificates = '.'", &[], "cannot read certificates from"),
    ("state = 'file'", &[("file", "")], "cannot use the state directory"),
    ("state = 'file/below'", &[("file", "")], "cannot use the state directory"),
    ("listen = '0.0.0.0:0'", &[], "other machines could reach"),
    ("[tenants.a]\nrepository = 'r'\n[tenants.b]\nrepository = 'r/b'", &[], "lies within that"),
    ("", &[("tenants/a.toml", "weight = 'two'")], "a.toml line 1"),
];

#[test]
fn check_config_reports_the_errors_of_serve() {
    for (config, files, words) in REFUSED {
        let folder = folder(config, |_| {});
        for (name, content) in files {
            let path = folder.directory().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let before = listing(folder.directory());
        let checked = wardian(folder.directory(), &["serve", "--check-config"])
            .expect_code(1)
            .expect_stderr(&[words]);
        assert_eq!(listing(folder.directory()), before, "{config}");
        // A server that would listen for other machines is not started here.
        let served = wardian(folder.directory(), &["serve"]).expect_code(1);
        assert_eq!(last_line(&checked.stderr), last_line(&served.stderr), "{config}");
    }
}

#[test]
fn a_models_directory_that_cannot_be_created_is_reported() {
    let folder = folder("", |_| {});
    let models = folder.directory().join("models");
    std::fs::remove_dir(&models).unwrap();
    std::os::unix::fs::symlink("nowhere", &models).unwrap();

    let checked = wardian(folder.directory(), &["serve", "--check-config"])
        .expect_code(1)
        .expect_stderr(&["cannot create the directory 'models' for models", "--models"]);
    let served = wardian(folder.directory(), &["serve"]).expect_code(1);

    assert_eq!(last_line(&checked.stderr), last_line(&served.stderr));
}

/// Returns the last line; a server writes log lines before it.
fn last_line(text: &str) -> &str {
    text.trim().lines().last().unwrap_or_default()
}

fn listing(folder: &std::path::Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn missing_repositories_are_noted() {
    let config = "[tenants.a]\nrepository = 'missing'\n[tenants.b.database]\nurl = 'postgres://b@127.0.0.1/b'\n\
                  password_file = 'none'\n";
    let folder = folder(config, |_| {});
    let output = wardian(folder.directory(), &["serve", "--check-config"]).expect_code(0);
    let output = output.expect_stdout(&["the configuration is sound"]);
    let missing = "note: tenant a: the repository missing cannot be read";
    output.expect_stderr(&[missing, "note: tenant b: the password of its database cannot be read"]);
    let server = Server::empty();
    let state = server.state();
    let arguments = ["serve", "--check-config", "--state", state.to_str().unwrap()];
    wardian(server.directory(), &arguments)
        .expect_code(0)
        .expect_stderr(&["note: the state directory is in use"]);
}

#[test]
fn repositories_overlapping_through_links_are_noted() {
    let config = "[tenants.a]\nrepository = 'a'\n[tenants.b]\nrepository = 'b'\n[tenants.c]\nrepository = '.wardian'\n";
    let linked = folder(config, |_| {});
    let at = |name: &str| linked.directory().join(name);
    ["a", ".wardian"].into_iter().for_each(|name| std::fs::create_dir(at(name)).unwrap());
    std::os::unix::fs::symlink("a", at("b")).unwrap();
    let told =
        ["overlaps with that of tenant 'a'", "overlaps with the server's own state directory"];
    wardian(linked.directory(), &["serve", "--check-config"]).expect_code(0).expect_stderr(&told);
}
