//! Backups of a store: copies of a stopped server, restored.

use std::fs;

use super::{ask, ask_one, setup, start};

#[test]
fn a_stopped_servers_file_is_a_complete_backup() {
    let server = start(setup(""));
    assert_eq!(ask(&server, &["set b k kept", "increment b n 41"]), ["ok", "41"]);
    let stopped = server.stop();
    let file = stopped.state().join("tenants/default/store.sqlite");
    assert!(!file.with_extension("sqlite-wal").exists());

    let elsewhere = setup("");
    fs::create_dir_all(elsewhere.state().join("tenants/default")).unwrap();
    fs::copy(&file, elsewhere.state().join("tenants/default/store.sqlite")).unwrap();
    let server = start(elsewhere);
    assert_eq!(ask(&server, &["get b k", "increment b n 1"]), ["kept", "42"]);
}

#[test]
fn a_leftover_journal_is_folded_at_start() {
    let server = start(setup(""));
    assert_eq!(ask_one(&server, "set b k kept"), "ok");
    let killed = server.kill();
    let journal = killed.state().join("tenants/default/store.sqlite-wal");
    assert!(fs::metadata(&journal).unwrap().len() > 0);
    let stopped = start(killed).stop();
    assert_eq!(fs::metadata(&journal).map_or(0, |metadata| metadata.len()), 0);
    assert_eq!(ask_one(&start(stopped), "get b k"), "kept");
}

#[test]
fn a_backup_beside_a_foreign_journal_is_refused() {
    let server = start(setup(""));
    assert_eq!(ask_one(&server, "set b k old"), "ok");
    let stopped = server.stop();
    let file = stopped.state().join("tenants/default/store.sqlite");
    let backup = stopped.directory().join("backup.sqlite");
    fs::copy(&file, &backup).unwrap();

    let server = start(stopped);
    assert_eq!(ask_one(&server, "set b k new"), "ok");
    let killed = server.kill();
    fs::copy(&backup, &file).unwrap();

    let server = start(killed);
    assert_eq!(server.get("/v2/keyvalue/b/k").status, 503);
    server.until_logged("store.sqlite-wal does not belong to the file beside it");
    let stopped = server.stop();
    fs::remove_file(file.with_extension("sqlite-wal")).unwrap();
    assert_eq!(ask_one(&start(stopped), "get b k"), "old");
}

#[test]
fn a_damaged_journal_is_reported() {
    let server = start(setup(""));
    (0..20).for_each(|number| assert_eq!(ask_one(&server, &format!("set b k{number} v")), "ok"));
    let killed = server.kill();
    let journal = killed.state().join("tenants/default/store.sqlite-wal");
    let mut content = fs::read(&journal).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&journal, content).unwrap();
    let server = start(killed);
    assert_eq!(ask_one(&server, "get b k0"), "v");
    server.until_logged("a journal is damaged");
}
