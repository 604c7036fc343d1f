//! A bare component that is added, changed and removed.

use std::io::Write;

use super::however_watched;
use crate::harness::{Models, Server, guest, puppet};

fn one(models: &Models) {
    models.bare("puppet", puppet("version=1"));
}

#[test]
fn a_rename_over_the_file_replaces_the_model() {
    however_watched(one, |server| {
        server.until_version_of("puppet", 1);
        server.models().bare("puppet", puppet("version=2"));
        server.until_version_of("puppet", 2);
        server.until_ready("puppet", 2);
        assert_eq!(server.config_of("puppet")["wardian"]["versions"], serde_json::json!([2]));
    });
}

#[test]
fn an_overwrite_in_place_replaces_the_model() {
    however_watched(one, |server| {
        server.until_version_of("puppet", 1);
        server.models().write_in_place("puppet.wasm", puppet("version=2"));
        server.until_version_of("puppet", 2);
    });
}

#[test]
fn a_slow_copy_is_served_once_complete() {
    however_watched(one, |server| {
        server.until_version_of("puppet", 1);
        let (new, mut file) = (puppet("version=2"), server.models().create("puppet.wasm"));
        for part in new.chunks(new.len() / 3) {
            file.write_all(part).unwrap();
            if file.metadata().unwrap().len() < new.len() as u64 {
                // The file settles half-written, as when a network stalls.
                let length = format!("but the file at {}", file.metadata().unwrap().len());
                server.until_refused("puppet", 0, "truncated");
                server.until_refused("puppet", 0, &length);
                assert_eq!(server.version_of("puppet"), 1);
            }
        }
        server.until_version_of("puppet", 2);
        assert_eq!(server.entry("puppet", 0), None);
    });
}

#[test]
fn a_truncated_file_leaves_the_serving_version() {
    however_watched(one, |server| {
        server.until_version_of("puppet", 1);
        let whole = puppet("version=1");
        for (length, reason) in
            [(whole.len() / 2, "truncated"), (4, "truncated"), (0, "the file is empty")]
        {
            server.models().write_in_place("puppet.wasm", &whole[..length]);
            server.until_refused("puppet", 0, reason);
            assert_eq!(server.version_of("puppet"), 1);
        }
        server.models().write_in_place("puppet.wasm", &whole);
        server.until_entry("puppet", 1, "a report without a fault", |_| {
            server.entry("puppet", 0).is_none()
        });
        assert_eq!(server.version_of("puppet"), 1);
    });
}

#[test]
fn a_deleted_models_number_is_not_reused() {
    however_watched(one, |server| {
        server.until_ready("puppet", 1);
        server.models().remove("puppet.wasm");
        server.until_gone("puppet");
        server.behave("puppet", "ok").refused(404, "model_not_found");
        server.until_logged("puppet unloads version 1");
        server.models().bare("puppet", puppet("version=2"));
        server.until_ready("puppet", 2);
        server.models().bare("puppet", puppet("version=1"));
        server.until_ready("puppet", 3);
        assert_eq!(server.version_of("puppet"), 1);
    });
}

#[test]
fn unchanged_content_keeps_its_version() {
    let server = Server::with_models(one).start();
    server.until_ready("puppet", 1);
    server.models().bare("puppet", puppet("version=1"));
    server.models().write_in_place("puppet.wasm", puppet("version=1"));
    let path = server.models().path("puppet.wasm");
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    std::fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
    // A load command scans the repository, so earlier changes have been seen after it.
    server.load("puppet").ok();
    server.until_ready("puppet", 1);
    assert_eq!(server.log().matches("loading tenant=default model=puppet").count(), 1);
}

#[test]
fn temporary_files_are_ignored() {
    however_watched(
        |_| {},
        |server| {
            let names = [
                ".puppet.wasm",
                "puppet.wasm.tmp",
                "puppet.wasm.part",
                "puppet.wasm~",
                "puppet.wasm.swp",
            ];
            for name in names {
                server.models().put(name, puppet(""));
            }
            server.models().bare("other", guest("minimal"));
            server.until_ready("other", 1);
            assert_eq!(server.index().len(), 1, "{:?}", server.index());
            let (unfinished, finished) =
                (server.models().path("puppet.wasm.part"), server.models().path("puppet.wasm"));
            std::fs::rename(unfinished, finished).unwrap();
            server.until_ready("puppet", 1);
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
