//! Backups of a database: copies of a stopped server, restored.

use std::fs;

use super::{query, serve, setup};

const NOTES: &str =
    "migrate 001-notes create table notes (text text); insert into notes values ('first')";

#[test]
fn a_stopped_servers_file_is_a_complete_backup() {
    let server = serve(NOTES);
    assert_eq!(query(&server, "select count(*) from notes"), "i:1");
    let stopped = server.stop();
    let file = stopped.state().join("tenants/default/database.sqlite");
    assert!(!file.with_extension("sqlite-wal").exists());

    let elsewhere = setup("");
    fs::create_dir_all(elsewhere.state().join("tenants/default")).unwrap();
    fs::copy(&file, elsewhere.state().join("tenants/default/database.sqlite")).unwrap();
    let server = elsewhere.start();
    server.until_ready("sql-steps", 1);
    assert_eq!(query(&server, "select text from notes"), "t:first");
}

#[test]
fn a_backup_beside_a_foreign_journal_is_refused() {
    let stopped = serve(NOTES).stop();
    let file = stopped.state().join("tenants/default/database.sqlite");
    let backup = stopped.directory().join("backup.sqlite");
    fs::copy(&file, &backup).unwrap();

    let server = stopped.start();
    server.until_ready("sql-steps", 1);
    assert_eq!(query(&server, "insert into notes values ('second') returning text"), "t:second");
    let killed = server.kill();
    assert!(fs::metadata(file.with_extension("sqlite-wal")).unwrap().len() > 0);
    fs::copy(&backup, &file).unwrap();

    let server = killed.start();
    server.until_logged("database.sqlite-wal does not belong to the file beside it");
    let killed = server.kill();
    fs::remove_file(file.with_extension("sqlite-wal")).unwrap();
    let server = killed.start();
    server.until_ready("sql-steps", 1);
    assert_eq!(query(&server, "select text from notes"), "t:first");
}
