//! `wardian key new`.

use serde_json::json;

use super::{ask, folder, wardian};
use crate::harness::{Server, guest};

#[test]
fn a_key_works_once_it_is_configured() {
    let made = folder("", |_| {});
    let arguments = [
        "key", "new", "--id", "ci", "--scope", "manage", "--scope", "infer", "--tenant", "default",
        "--json",
    ];
    let json = wardian(made.directory(), &arguments).expect_code(0).json();
    assert_eq!(
        (&json["id"], &json["scopes"], &json["tenant"]),
        (&json!("ci"), &json!(["infer", "manage"]), &json!("default"))
    );
    let (key, entry) = (json["key"].as_str().unwrap(), json["entry"].as_str().unwrap());
    let setup = Server::with_models(|models| models.bare("minimal", guest("minimal")));
    let server = setup.config(&format!("[tenants.default]\nkeys = [{entry}]")).start();
    server.until_tried();
    let header = format!("Authorization: Bearer {key}");
    ask(&server, "infer", &["minimal", "--input", "x=1", "--header", &header]).expect_code(0);
    ask(&server, "infer", &["minimal", "--input", "x=1"])
        .expect_code(3)
        .expect_stderr(&["(unauthenticated, HTTP 401)", "--header"]);
    let wrong = ["minimal", "--input", "x=1", "--header", "Authorization: Bearer wdn_wrong"];
    let output = ask(&server, "infer", &wrong).expect_code(3);
    output.expect_stderr(&[
        "the key in this request is not known to this server",
        "(unknown_key, HTTP 401)",
    ]);
}

#[test]
fn each_key_is_new_and_shown_once() {
    let folder = folder("", |_| {});
    let new = || {
        wardian(folder.directory(), &["key", "new"]).expect_code(0).expect_stdout(&[
            "key     wdn_",
            "\nsha256  ",
            "\nentry   { id = \"key-",
        ])
    };
    let (one, other) = (new().stdout, new().stdout);
    assert_eq!(one.lines().count(), 3);
    assert!(one.lines().zip(other.lines()).all(|(one, other)| one != other), "{one}{other}");
}

#[test]
fn invalid_key_options_are_usage_errors() {
    let folder = folder("", |_| {});
    for arguments in
        [&["--scope", "root"][..], &["--id", "a\"b"], &["--tenant", "a/b"], &["--colour"]]
    {
        wardian(folder.directory(), &[&["key", "new"], arguments].concat()).expect_code(2);
    }
    wardian(folder.directory(), &["key"]).expect_code(2).expect_stderr(&["Usage: wardian key"]);
}
