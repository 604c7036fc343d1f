//! `wardian check`: a version that passes here also goes live, and a version that fails is reported
//! with its reason.

use std::net::TcpListener;

use super::{folder, wardian};
use crate::harness::{guest, guest_folder, scripted, sql_steps};

/// Two tenants, one of them with tighter limits.
const TWO: &str = "[tenants.acme]\n[tenants.acme.limits]\nmemory = '64MiB'\n[tenants.beta]\n";

/// A memory limit above that of `acme`.
const LARGE: &str = "[limits]\nmemory = '128MiB'\n";

#[test]
fn a_passing_version_is_reported_with_its_metadata() {
    let folder = folder("", |models| {
        models.bare("iris", guest("iris"));
        models.copy_folder(&guest_folder("upper"), "upper/1");
    });
    let output = wardian(folder.directory(), &["check", "models"]).expect_code(0);
    let output = output.expect_stdout(&[
        "iris version 1: OK in ",
        "\n  outputs   label BYTES [-1], ",
        "no golden.json",
    ]);
    output
        .expect_stdout(&[
            "upper version 1: OK in ",
            " requests answered as written\n",
            "\n2 of 2 OK\n",
        ])
        .expect_stderr(&["reading files", "iris version 1: compile"]);
    let output = wardian(folder.directory(), &["check", "models/upper", "--json"]).expect_code(0);
    assert_eq!(output.stderr, "", "progress is left out of JSON");
    let json = output.json();
    let version = &json["versions"][0];
    assert_eq!(
        (&json["ok"], &version["ok"], &version["model"]),
        (&true.into(), &true.into(), &"upper".into())
    );
    assert_eq!((&version["version"], &version["proved"]), (&1.into(), &true.into()));
    assert_eq!(version["metadata"]["inputs"][0]["datatype"], "BYTES");
    assert_eq!(version["snapshot"]["taken"], true);
    for number in ["golden_requests", "memory_bytes", "compiled_bytes", "seconds"] {
        assert!(version[number].as_f64().is_some_and(|number| number > 0.0), "{number}: {version}");
    }
}

#[test]
fn a_failing_version_is_reported_with_its_stage() {
    let folder = folder("", |models| {
        models.version("mod", 1, scripted("version=1"));
        models.version("mod", 2, scripted("load=trap"));
        models.version("mod", 3, scripted("version=3")[..5000].to_vec());
        models.put(
            "mod/1/golden.json",
            r#"{"cases": [{"request": {"inputs": []}, "response": {"outputs": [
            {"name": "version", "datatype": "INT64", "shape": [1], "data": [7]}]}}]}"#,
        );
    });
    let output = wardian(folder.directory(), &["check", "models/mod"]).expect_code(3);
    output
        .expect_stdout(&[
            "mod version 1: FAILED (golden)\n  request 1: output 'version'",
            "mod version 2: FAILED (load)\n",
        ])
        .expect_stdout(&[
            "mod version 3: FAILED (read)\n  model.wasm: truncated: ",
            "\n0 of 3 OK\n",
        ]);
    let output = wardian(folder.directory(), &["check", "models/mod/2", "--json"]).expect_code(3);
    let version = &output.json()["versions"][0];
    assert_eq!((&version["ok"], &version["stage"]), (&false.into(), &"load".into()));
    assert!(
        version["reason"].as_str().is_some_and(|reason| reason.contains("unreachable")),
        "{version}"
    );
}

#[test]
fn an_uncheckable_path_is_an_error() {
    let folder = folder("", |_| {});
    let check = |arguments: &[&str]| wardian(folder.directory(), &[&["check"], arguments].concat());
    check(&["nowhere"]).expect_code(1).expect_stderr(&["error: cannot read nowhere: No such file"]);
    check(&["models"]).expect_code(1).expect_stderr(&["there is no model in "]);
    check(&["models", "--config", "absent.toml"]).expect_code(1).expect_stderr(&["absent.toml"]);
    check(&[]).expect_code(2).expect_stderr(&["Usage: wardian check"]);
    check(&["models", "--tenant", "a/b"]).expect_code(2).expect_stderr(&["--tenant"]);
}

#[test]
fn tenant_limits_apply() {
    let folder = folder(TWO, |models| {
        models.settings("large", LARGE);
        models.version("large", 1, scripted(""));
    });
    let check = |tenant: &[&str]| {
        wardian(folder.directory(), &[&["check", "models/large"], tenant].concat())
    };
    let refusal = "limits.memory is 128MiB, and this tenant's models may have 64MiB";
    check(&["--tenant", "acme"])
        .expect_code(3)
        .expect_stdout(&["large version 1: FAILED (quota)", refusal]);
    check(&["--tenant", "beta"]).expect_code(0);
    check(&["--tenant", "gamma"])
        .expect_code(1)
        .expect_stderr(&["there is no tenant 'gamma'", "which has 'acme', 'beta'"]);
    check(&[]).expect_code(1).expect_stderr(&["'acme', 'beta'; say with --tenant"]);
    let inspected = ["inspect", "models/large/1/model.wasm", "--tenant", "acme"];
    wardian(folder.directory(), &inspected)
        .expect_code(3)
        .expect_stdout(&["NOT LOADED (quota)", refusal]);
}

#[test]
fn a_single_tenant_is_the_default() {
    let config = "[tenants.default]\n[tenants.default.limits]\nmemory = '64MiB'\n";
    let folder = folder(config, |models| {
        models.settings("large", LARGE);
        models.version("large", 1, scripted(""));
        models.settings("http-caller", "[capabilities]\nhttp = ['https://api.example.com']");
        models.version("http-caller", 1, guest("http-caller"));
    });
    let output = wardian(folder.directory(), &["check", "models", "--json"]).expect_code(3);
    let refusals: Vec<_> = output.json()["versions"].as_array().unwrap().clone();
    assert_eq!(refusals.len(), 2, "{output:?}");
    let server = folder.config(config).start();
    for refusal in refusals {
        let text = |key: &str| refusal[key].as_str().unwrap().to_owned();
        server.until_refused(&text("model"), 1, &format!("{}: {}", text("stage"), text("reason")));
    }
}

#[test]
fn without_tenants_every_listed_origin_is_granted() {
    let folder = folder("", |models| {
        models.settings("http-caller", "[capabilities]\nhttp = ['https://api.example.com']");
        models.version("http-caller", 1, guest("http-caller"));
    });
    wardian(folder.directory(), &["check", "models/http-caller", "--tenant", "default"])
        .expect_code(0);
}

#[test]
fn migrations_run_in_an_empty_database() {
    let postgres = TcpListener::bind("127.0.0.1:0").unwrap();
    postgres.set_nonblocking(true).unwrap();
    let url = format!("postgres://acme@{}/acme", postgres.local_addr().unwrap());
    let config = format!("[tenants.acme.database]\nurl = '{url}'\n[tenants.beta]\n");
    let folder = folder(&config, |models| {
        models.settings("sql-steps", "[capabilities]\nsql = true");
        models.version("sql-steps", 1, sql_steps("migrate 001-a create table a (x integer)"));
        models.version(
            "sql-steps",
            2,
            sql_steps("migrate 001-a create table a (x integer); selec"),
        );
        models.bare("iris", guest("iris"));
    });
    let check =
        |tenant: &str| wardian(folder.directory(), &["check", "models", "--tenant", tenant]);
    let output = check("beta")
        .expect_code(3)
        .expect_stdout(&["sql-steps version 1: OK in ", "sql-steps version 2: FAILED (migrate)\n"]);
    assert!(!output.stdout.contains("not proved"), "{output:?}");
    let output = check("acme").expect_code(0).expect_stdout(&[
        "1: OK in ",
        ", but not proved\n",
        "PostgreSQL",
        "\n3 of 3 OK\n",
    ]);
    assert_eq!(output.stdout.matches(", but not proved\n").count(), 2, "{output:?}");
    let asked = postgres.accept().map(|(_, peer)| peer).map_err(|error| error.kind());
    assert_eq!(asked, Err(std::io::ErrorKind::WouldBlock), "nobody has asked PostgreSQL anything");
}

#[test]
fn missing_versions_and_reserved_names_are_reported() {
    let folder = folder("", |models| {
        models.version("mod", 1, scripted("version=1"));
        models.settings("mod", "versions = [7]");
        models.bare("stats", scripted("version=1"));
    });
    let output = wardian(folder.directory(), &["check", "models"]).expect_code(3);
    output
        .expect_stdout(&[
            "mod version 1: OK in ",
            "mod version 7: FAILED (read)\n  `versions` in mod/model.toml names it",
        ])
        .expect_stdout(&[
            "stats: FAILED (read)\n  stats.wasm: this name is reserved and cannot be a model's",
        ]);
    wardian(folder.directory(), &["check", "models/stats.wasm"])
        .expect_code(3)
        .expect_stdout(&["this name is reserved and cannot be a model's"]);
    // A single version is checked by itself.
    wardian(folder.directory(), &["check", "models/mod/1"]).expect_code(0);
}
