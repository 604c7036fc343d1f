//! Uploads of whole versions as tar archives.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tar::{Builder, EntryType, Header};

use super::{ask_until, assert_ready, until_clean, used};
use crate::harness::{PYTHON, Server, guest_folder, scripted, until, version_path};

/// Returns an archive of these files.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(content).unwrap();
    gzip.finish().unwrap()
}

/// Returns golden requests for a scripted model of this version.
fn golden(version: i64) -> String {
    let output = json!({ "name": "version", "datatype": "INT64", "shape": [1], "data": [version] });
    let case = json!({ "request": { "inputs": [] }, "response": { "outputs": [output] } });
    json!({ "cases": [case] }).to_string()
}

/// Returns an archive of a scripted version with golden requests that it answers.
fn version(number: i64) -> Vec<u8> {
    let component = scripted(&format!("version={number}"));
    tar(&[("model.wasm", &component), ("golden.json", golden(number).as_bytes())])
}

#[test]
fn an_archive_has_all_files_of_a_version() {
    let folder = guest_folder("digits");
    let files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    let mut entries: Vec<_> =
        files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    entries.push(("model.toml", b"isolation = 'pooled'"));
    let server = Server::empty();

    let plain = tar(&entries);
    assert_ready(&server.upload("digits", 1, plain.clone()), 201, "digits", 1, &plain);
    assert_eq!(server.config_of("digits")["wardian"]["isolation"], "pooled");
    let zipped = gzip(&plain);
    assert_ready(&server.upload("digits", 2, zipped.clone()), 201, "digits", 2, &zipped);
    for (name, content) in &files {
        assert_eq!(&fs::read(server.models().path(&format!("digits/2/{name}"))).unwrap(), content);
    }
    assert!(!server.models().path("digits/2/model.toml").exists());
    until_clean(&server);
}

#[test]
fn the_same_files_change_nothing() {
    let server = Server::empty();
    assert_eq!(server.upload("scripted", 1, version(1)).status, 201);
    let folder = || fs::metadata(server.models().path("scripted/1")).unwrap().modified().unwrap();
    let (changed, loads) = (folder(), server.metric("wardian_loads_total"));
    assert_eq!(server.upload("scripted", 1, gzip(&version(1))).status, 200);
    assert_eq!((folder(), server.metric("wardian_loads_total")), (changed, loads));
    assert_eq!(server.upload("scripted", 1, version(2)).status, 200);
    assert_eq!(server.version_of("scripted"), 2);
    until_clean(&server);
}

#[test]
fn swaps_by_archive_fail_no_request() {
    let server = &Server::empty();
    server.upload("scripted", 1, version(1));
    let done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..2).map(|_| scope.spawn(|| ask_until(server, done))).collect();
        for number in 2..=6 {
            // Alternately beside the previous version, and in its place.
            let response = server.upload("scripted", number as u64 / 2 * 2, version(number));
            assert!(response.status < 300, "{response}");
            assert_eq!(server.version_of("scripted"), number);
        }
        done.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| assert!(client.join().unwrap() > 0));
    });
    assert_eq!(server.metric("wardian_request_failures_total"), Some(0.0));
}

#[test]
fn a_version_that_fails_its_golden_requests_is_not_placed() {
    let server = Server::empty();
    server.upload("scripted", 1, version(1));
    let wrong = [("model.wasm", &scripted("version=2")[..]), ("golden.json", golden(3).as_bytes())]
        .map(|(name, content)| (name, content.to_vec()));
    let wrong: Vec<_> = wrong.iter().map(|(name, content)| (*name, content.as_slice())).collect();
    for number in [1, 2] {
        let refused = server.upload("scripted", number, tar(&wrong));
        refused.refused(422, "load_failed");
        assert!(refused.text().contains("golden: "), "{refused}");
    }
    assert_eq!((server.version_of("scripted"), server.entry("scripted", 2)), (1, None));
    until_clean(&server);
}

#[test]
fn settings_that_differ_from_the_models_are_refused() {
    let server = Server::empty();
    let with = |settings: &str| {
        tar(&[("model.wasm", &scripted("version=1")), ("model.toml", settings.as_bytes())])
    };
    assert_eq!(server.upload("scripted", 1, with("isolation = 'pooled'")).status, 201);
    assert_eq!(server.upload("scripted", 2, with("isolation = 'pooled'")).status, 201);
    let refused = server.upload("scripted", 3, with("isolation = 'request'"));
    refused.refused(409, "conflict");
    assert!(refused.text().contains("applies to all versions"), "{refused}");
    assert_eq!(
        server.upload("scripted", 3, tar(&[("model.wasm", &scripted("version=3"))])).status,
        201
    );
    assert_eq!(server.config_of("scripted")["wardian"]["isolation"], "pooled");

    let calls = "[capabilities]\nhttp = ['http://10.0.0.1']";
    let refused = server.upload("other", 1, with(calls));
    refused.refused(422, "load_failed");
    assert!(refused.text().contains("capabilities.http cannot be uploaded"), "{refused}");
    until_clean(&server);
}

#[test]
fn hostile_archives_are_refused_and_leave_nothing() {
    let server = Server::empty();
    fs::write(server.directory().join("outside"), "kept").unwrap();
    let component = scripted("version=1");
    let whole = tar(&[("model.wasm", &component)]);
    for (path, kind, says) in [
        ("../outside", EntryType::Regular, "leads out of the version's folder"),
        ("/tmp/outside", EntryType::Regular, "leads out of the version's folder"),
        ("2/model.wasm", EntryType::Regular, "without folders"),
        ("link", EntryType::Symlink, "a symbolic link"),
        ("link", EntryType::Link, "a hard link"),
        ("device", EntryType::Char, "a device"),
        ("fifo", EntryType::Fifo, "a FIFO"),
        ("model.wasm", EntryType::Regular, "twice"),
    ] {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(0);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name("../outside").unwrap();
        }
        header.set_cksum();
        let files = &whole[..whole.len() - 1024];
        let hostile = [files, header.as_bytes(), &[0; 1024]].concat();
        for body in [gzip(&hostile), hostile] {
            let refused = server.upload("scripted", 1, body);
            refused.refused(422, "load_failed");
            assert!(refused.text().contains(says), "{refused}");
        }
    }

    let truncated = &whole[..whole.len() - 1024];
    server.upload("scripted", 1, truncated).refused(422, "load_failed");
    let trailing = [&whole[..], b"more"].concat();
    server.upload("scripted", 1, trailing).refused(422, "load_failed");
    assert_eq!(fs::read_to_string(server.directory().join("outside")).unwrap(), "kept");
    assert!(!server.models().path("scripted").exists());
    until_clean(&server);
}

#[test]
fn a_bomb_ends_at_the_quota() {
    let config = "[tenants.default.quota]\nstorage = '4MB'\nartifact_size = '500kB'\n";
    let server = Server::with_models(|_| {}).config(config).start();
    let part = vec![0; 400_000];
    let names: Vec<_> = (0..12).map(|number| format!("part{number}")).collect();
    let parts: Vec<_> = names.iter().map(|name| (name.as_str(), part.as_slice())).collect();
    let bomb = gzip(&tar(&parts));
    assert!(bomb.len() < 100_000);
    let refused = server.upload("scripted", 1, bomb);
    assert_eq!(refused.refused(429, "quota_exceeded").json()["quota"], "storage");
    let refused = server.upload("scripted", 1, gzip(&tar(&[("a", &vec![0; 500_001])])));
    refused.refused(413, "artifact_too_large");
    assert!(refused.text().contains("a is larger than the 500000 bytes"), "{refused}");
    until_clean(&server);

    // As a whole it is larger than one file may be.
    let files = [("model.wasm", scripted("version=1")), ("a", part.clone())];
    let files = files.each_ref().map(|(name, content)| (*name, content.as_slice()));
    let typed = server.call("PUT", &version_path("scripted", 1)).body(tar(&files));
    assert_eq!(typed.header("content-type", "application/x-tar").send().status, 201);
}

#[test]
fn a_disconnect_inside_an_archive_leaves_nothing() {
    let server = Server::empty();
    let whole = tar(&[("weights.bin", &[1; 60_000]), ("model.wasm", &scripted("version=1"))]);
    let put = server.call("PUT", &version_path("scripted", 1)).announce(whole.len() as u64);
    let unfinished = put.body(&whole[..50_000]).begin();
    until("that a part is written", || used(&server, "storage") > 40_000);
    unfinished.hang_up();
    until_clean(&server);
    assert!(!server.models().path("scripted").exists());
}

#[test]
fn concurrent_archives_leave_one_complete_version() {
    let server = &Server::empty();
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let upload =
            |number| scope.spawn(move || server.upload("scripted", 1, version(number)).status);
        let uploads: Vec<_> = (1..=3).map(upload).collect();
        uploads.into_iter().map(|upload| upload.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| [200, 201].contains(status)), "{statuses:?}");
    let there = fs::read_to_string(server.models().path("scripted/1/golden.json")).unwrap();
    let number = (1..=3).find(|number| golden(*number) == there).unwrap();
    server.until_version_of("scripted", number);
    until_clean(server);
}

#[test]
fn an_archive_made_by_python_is_accepted() {
    let server = Server::empty();
    let folder = server.directory().join("version");
    fs::create_dir(&folder).unwrap();
    let long = format!("{}.bin", "w".repeat(110));
    fs::write(folder.join("model.wasm"), scripted("version=1")).unwrap();
    fs::write(folder.join("golden.json"), golden(1)).unwrap();
    fs::write(folder.join(&long), "w").unwrap();
    let script = "import sys, tarfile\n\
        for name, format in (('pax', tarfile.PAX_FORMAT), ('gnu', tarfile.GNU_FORMAT)):\n    \
            with tarfile.open(name + '.tgz', 'w:gz', format=format) as archive:\n        \
                archive.add('version', arcname='.')\n";
    let made =
        Command::new("python3").args(["-c", script]).current_dir(server.directory()).status();
    if !made.is_ok_and(|status| status.success()) {
        return PYTHON.skip("python3 did not run");
    }
    for (number, name) in [(1, "pax.tgz"), (2, "gnu.tgz")] {
        let body = fs::read(server.directory().join(name)).unwrap();
        assert_ready(
            &server.upload("scripted", number, body.clone()),
            201,
            "scripted",
            number,
            &body,
        );
        assert!(server.models().path(&format!("scripted/{number}/{long}")).exists());
    }
    until_clean(&server);
}
