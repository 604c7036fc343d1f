//! Concurrent uploads and removals of the same version.

use std::fs;

use super::until_clean;
use crate::harness::{Server, scripted};

#[test]
fn concurrent_uploads_leave_one_complete_version() {
    let server = Server::empty();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let upload = |version: i64| {
            let server = &server;
            scope.spawn(move || {
                server.upload("scripted", 1, scripted(&format!("version={version}")))
            })
        };
        let uploads: Vec<_> = (1..=3).map(upload).collect();
        uploads.into_iter().map(|upload| upload.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| answer.status < 300), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
    let there = fs::read(server.models().path("scripted/1/model.wasm")).unwrap();
    let version = (1..=3).find(|version| scripted(&format!("version={version}")) == there).unwrap();
    server.until_version_of("scripted", version);
    until_clean(&server);
}

#[test]
fn an_upload_and_a_removal_do_not_mix() {
    let server = Server::empty();
    for round in 0..5 {
        server.upload("scripted", 1, scripted("version=1"));
        server.models().put("scripted/1/notes.txt", "of the version before");
        let (upload, removal) = std::thread::scope(|scope| {
            let upload = scope.spawn(|| {
                server.upload("scripted", 1, scripted(&format!("version={}", round + 2)))
            });
            let removal = scope.spawn(|| server.remove("scripted", 1));
            (upload.join().unwrap(), removal.join().unwrap())
        });
        assert_eq!(removal.status, 200, "{removal}");
        // The upload either replaced the version before its removal, or found it removed.
        assert!([200, 201, 409].contains(&upload.status), "{upload}");
        let (component, beside) = (
            server.models().path("scripted/1/model.wasm"),
            server.models().path("scripted/1/notes.txt"),
        );
        assert!(!(component.exists() && beside.exists()), "{upload}");
        server.remove("scripted", 1);
        server.until_gone("scripted");
    }
    until_clean(&server);
}

#[test]
fn upload_files_of_a_killed_server_are_removed() {
    let server = Server::with_models(|models| {
        models.version("scripted", 1, scripted("version=1"));
        models.put(".wardian-upload/1-2-3/version/model.wasm", &scripted("version=9")[..5000]);
    })
    .start();
    server.until_version_of("scripted", 1);
    until_clean(&server);
}
