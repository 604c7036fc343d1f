//! `prune` in `model.toml` of a repository behind a URL: old versions are deleted from the store.

use serde_json::json;

use super::store::{Bucket, OWNER, Store, reachable_at};
use super::{SELDOM, fetched, refresh, until_degraded};
use crate::harness::{Server, scripted, until};

fn put(bucket: &Bucket, version: u64) {
    // The component comes last and makes it a version.
    bucket.put(&format!("models/scripted/{version}/notes.txt"), "weights");
    let component = scripted(&format!("version={version}"));
    bucket.put(&format!("models/scripted/{version}/model.wasm"), component);
}

/// Waits until the bucket holds these versions of the scripted model, with all their files.
fn until_stored(bucket: &Bucket, versions: &[u64]) {
    let files = |version: &u64| {
        ["model.wasm", "notes.txt"].map(|name| format!("models/scripted/{version}/{name}"))
    };
    let expected: Vec<_> = versions.iter().flat_map(files).collect();
    until(&format!("that {versions:?} are in the bucket"), || {
        let mut keys = bucket.keys();
        keys.retain(|key| key.starts_with("models/scripted/") && !key.ends_with("model.toml"));
        keys == expected
    });
}

#[test]
fn old_versions_are_deleted_from_the_bucket_and_the_mirror() {
    let Some(bucket) = Bucket::new() else { return };
    bucket.put("models/scripted/model.toml", "prune = 2");
    bucket.put("models/other/1/model.wasm", scripted("version=1"));
    bucket.put("elsewhere/scripted/1/model.wasm", "of somebody else");
    (1..=4).for_each(|version| put(&bucket, version));
    let server = bucket.serve("models", SELDOM).start();
    server.until_version_of("scripted", 4);
    until_stored(&bucket, &[3, 4]);

    put(&bucket, 5);
    refresh(&server);
    server.until_version_of("scripted", 5);
    until_stored(&bucket, &[4, 5]);
    until("that nothing is told of version 3", || server.entry("scripted", 3).is_none());
    until_degraded(&server, "");
    until("that 3 versions are counted", || {
        server.metric("wardian_pruned_versions_total") == Some(3.0)
    });
    let others = ["elsewhere/scripted/1/model.wasm", "models/other/1/model.wasm"];
    assert!(others.iter().all(|key| bucket.keys().contains(&(*key).to_owned())));

    // The mirror holds what the bucket holds.
    let server = server.stop().start();
    server.until_version_of("scripted", 5);
    refresh(&server);
    assert_eq!(fetched(&server), 0.0);
    until_stored(&bucket, &[4, 5]);
}

#[test]
fn the_age_of_a_version_is_that_of_its_objects() {
    let Some(bucket) = Bucket::new() else { return };
    bucket.put("models/scripted/model.toml", "prune = '2s'");
    put(&bucket, 1);
    put(&bucket, 2);
    let server = bucket.serve("models", SELDOM).start();
    server.until_version_of("scripted", 2);
    until_stored(&bucket, &[2]);
    put(&bucket, 3);

    // A server that mirrors everything anew deletes it all the same.
    let setup = server.stop();
    std::fs::remove_dir_all(setup.state()).unwrap();
    let server = setup.start();
    server.until_version_of("scripted", 3);
    until_stored(&bucket, &[3]);
}

#[test]
fn an_unreachable_store_delays_the_deletion() {
    let Some(bucket) = Bucket::new() else { return };
    bucket.put("models/scripted/model.toml", "prune = '1h'");
    (1..=2).for_each(|version| put(&bucket, version));
    let server = bucket.serve("models", SELDOM).start();
    server.until_version_of("scripted", 2);
    let setup = server.stop();
    // The new setting is in the mirror already, as after a refresh right before the failure.
    let mirror = std::fs::read_dir(setup.state().join("repository/default/remote")).unwrap();
    let mirror = mirror.map(|entry| entry.unwrap().path()).next().unwrap();
    std::fs::write(mirror.join("mirror/scripted/model.toml"), "prune = 1").unwrap();
    bucket.put("models/scripted/model.toml", "prune = 1");
    bucket.proxy.shut();

    let server = setup.start();
    server.until_version_of("scripted", 2);
    server.until_refused("scripted", 1, "it cannot be pruned: the repository s3://");
    assert!(server.metric("wardian_prune_failures_total") >= Some(1.0));
    until_stored(&bucket, &[1, 2]);
    bucket.proxy.open();
    server.load("scripted").ok();
    until_stored(&bucket, &[2]);
    assert_eq!(server.version_of("scripted"), 2);
}

#[test]
fn a_store_that_refuses_to_delete_is_shown() {
    let Some(store) = Store::start() else { return };
    store.ask("PUT", "/bucket", "", b"");
    store.ask("PUT", "/bucket/models/scripted/model.toml", OWNER, b"prune = 1");
    for version in 1..=2 {
        let path = format!("/bucket/models/scripted/{version}/model.wasm");
        store.ask("PUT", &path, OWNER, &scripted(&format!("version={version}")));
    }
    let (id, secret) = store.user(&json!(["s3:List*", "s3:Get*"]));
    store.checks_credentials();

    let setup = Server::with_models(|_| {}).models_at("s3://bucket/models").config(SELDOM);
    let setup = reachable_at(setup, store.address()).environment("AWS_ACCESS_KEY_ID", &id);
    let server = setup.environment("AWS_SECRET_ACCESS_KEY", &secret).start();
    server.until_version_of("scripted", 2);
    let says = "it cannot be pruned: the store does not delete scripted/1/model.wasm: ";
    server.until_refused("scripted", 1, says);
    let remedy = "permit the server's credentials to delete objects, or remove `prune` from \
                  scripted/model.toml";
    server.until_refused("scripted", 1, remedy);
    server.until_logged("cannot be pruned");
    until_degraded(&server, "");
    assert_eq!(server.version_of("scripted"), 2);
    assert_eq!(server.entry("scripted", 1).unwrap().state, "UNAVAILABLE");
}
