//! A bare component that is added, changed and removed.

use std::io::Write;

use super::however_watched;
use crate::harness::{Models, Server, guest, scripted};

fn one(models: &Models) {
    models.bare("scripted", scripted("version=1"));
}

#[test]
fn a_rename_over_the_file_replaces_the_model() {
    however_watched(one, |server| {
        server.until_version_of("scripted", 1);
        server.models().bare("scripted", scripted("version=2"));
        server.until_version_of("scripted", 2);
        server.until_ready("scripted", 2);
        assert_eq!(server.config_of("scripted")["wardian"]["versions"], serde_json::json!([2]));
    });
}

#[test]
fn an_overwrite_in_place_replaces_the_model() {
    however_watched(one, |server| {
        server.until_version_of("scripted", 1);
        server.models().write_in_place("scripted.wasm", scripted("version=2"));
        server.until_version_of("scripted", 2);
    });
}

#[test]
fn a_slow_copy_is_served_once_complete() {
    however_watched(one, |server| {
        server.until_version_of("scripted", 1);
        let (new, mut file) = (scripted("version=2"), server.models().create("scripted.wasm"));
        for part in new.chunks(new.len() / 3) {
            file.write_all(part).unwrap();
            if file.metadata().unwrap().len() < new.len() as u64 {
                // The file settles half-written, as when a network stalls.
                let length = format!("but the file at {}", file.metadata().unwrap().len());
                server.until_refused("scripted", 0, "truncated");
                server.until_refused("scripted", 0, &length);
                assert_eq!(server.version_of("scripted"), 1);
            }
        }
        server.until_version_of("scripted", 2);
        assert_eq!(server.entry("scripted", 0), None);
    });
}

#[test]
fn a_truncated_file_leaves_the_serving_version() {
    however_watched(one, |server| {
        server.until_version_of("scripted", 1);
        let whole = scripted("version=1");
        for (length, reason) in
            [(whole.len() / 2, "truncated"), (4, "truncated"), (0, "the file is empty")]
        {
            server.models().write_in_place("scripted.wasm", &whole[..length]);
            server.until_refused("scripted", 0, reason);
            assert_eq!(server.version_of("scripted"), 1);
        }
        server.models().write_in_place("scripted.wasm", &whole);
        server.until_entry("scripted", 1, "a report without a fault", |_| {
            server.entry("scripted", 0).is_none()
        });
        assert_eq!(server.version_of("scripted"), 1);
    });
}

#[test]
fn a_deleted_models_number_is_not_reused() {
    however_watched(one, |server| {
        server.until_ready("scripted", 1);
        server.models().remove("scripted.wasm");
        server.until_gone("scripted");
        server.behave("scripted", "ok").refused(404, "model_not_found");
        server.until_logged("scripted unloads version 1");
        server.models().bare("scripted", scripted("version=2"));
        server.until_ready("scripted", 2);
        server.models().bare("scripted", scripted("version=1"));
        server.until_ready("scripted", 3);
        assert_eq!(server.version_of("scripted"), 1);
    });
}

#[test]
fn unchanged_content_keeps_its_version() {
    let server = Server::with_models(one).start();
    server.until_ready("scripted", 1);
    server.models().bare("scripted", scripted("version=1"));
    server.models().write_in_place("scripted.wasm", scripted("version=1"));
    let path = server.models().path("scripted.wasm");
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    std::fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
    // A load command scans the repository, so earlier changes have been seen after it.
    server.load("scripted").ok();
    server.until_ready("scripted", 1);
    assert_eq!(server.log().matches("loading tenant=default model=scripted").count(), 1);
}

#[test]
fn temporary_files_are_ignored() {
    however_watched(
        |_| {},
        |server| {
            let names = [
                ".scripted.wasm",
                "scripted.wasm.tmp",
                "scripted.wasm.part",
                "scripted.wasm~",
                "scripted.wasm.swp",
            ];
            for name in names {
                server.models().put(name, scripted(""));
            }
            server.models().bare("other", guest("minimal"));
            server.until_ready("other", 1);
            assert_eq!(server.index().len(), 1, "{:?}", server.index());
            let (unfinished, finished) =
                (server.models().path("scripted.wasm.part"), server.models().path("scripted.wasm"));
            std::fs::rename(unfinished, finished).unwrap();
            server.until_ready("scripted", 1);
        },
    );
}

#[test]
fn a_hundred_files_are_loaded_and_unloaded() {
    however_watched(
        |_| {},
        |server| {
            let minimal = guest("minimal");
            let names: Vec<_> = (0..100).map(|number| format!("model-{number}")).collect();
            names.iter().for_each(|name| server.models().bare(name, minimal.clone()));
            names.iter().for_each(|name| server.until_ready(name, 1));
            names.iter().for_each(|name| server.models().remove(&format!("{name}.wasm")));
            crate::harness::until("an empty repository", || server.index().is_empty());
        },
    );
}
