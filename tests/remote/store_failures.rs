//! Failures of the store, during which served models keep serving.

use serde_json::json;

use super::store::{OWNER, Store, reachable_at};
use super::{OFTEN, SELDOM, degraded, fetched, serving, until_degraded};
use crate::harness::{Server, guest, scripted, scripted_interceptor, until};

#[test]
fn an_unreachable_store_unloads_nothing() {
    let Some((bucket, server)) = serving(OFTEN) else { return };
    bucket.proxy.shut();
    until_degraded(&server, "cannot be listed");
    server.until_logged("repository is degraded; serving versions stay");
    assert!(server.metric("wardian_repository_refresh_failures_total").unwrap() >= 1.0);
    assert_eq!(server.version_of("scripted"), 1);
    server.call("POST", "/v2/repository/refresh").send().refused(503, "repository_degraded");
    server.load("scripted").ok();
    let before = fetched(&server);
    bucket.proxy.open();
    until_degraded(&server, "");
    assert_eq!((server.version_of("scripted"), fetched(&server)), (1, before));
}

#[test]
fn missing_credentials_are_named() {
    // The address of the cloud's metadata service has no listener.
    let setup = Server::with_models(|_| {}).models_at("s3://bucket/models").config(OFTEN);
    let server = setup.environment("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1").start();
    until_degraded(
        &server,
        "there are no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    );
    until_degraded(&server, "AWS_SKIP_SIGNATURE=true if the bucket is public");
}

#[test]
fn a_suddenly_empty_bucket_unloads_nothing() {
    let Some((bucket, server)) = serving(SELDOM) else { return };
    bucket.delete("models/scripted.wasm");
    for _ in 0..3 {
        let told = server.call("POST", "/v2/repository/refresh").send();
        assert!(
            told.refused(503, "repository_degraded")
                .text()
                .contains("1 of 1 versions are not listed"),
            "{told}"
        );
        assert_eq!(server.version_of("scripted"), 1);
    }
    bucket.put("models/scripted.wasm", scripted("version=2"));
    super::refresh(&server);
    server.until_version_of("scripted", 2);
    assert_eq!(degraded(&server), "");
}

#[test]
fn a_bucket_that_stays_empty_is_accepted() {
    let Some((bucket, server)) = serving(OFTEN) else { return };
    bucket.delete("models/scripted.wasm");
    server.until_gone("scripted");
    assert!(
        server.log().contains("1 of 1 versions are not listed any more"),
        "it was held back first"
    );
    until_degraded(&server, "");
}

#[test]
fn an_invalid_object_leaves_the_last_good_version() {
    let Some((bucket, server)) = serving(SELDOM) else { return };
    bucket.put("models/numbered/1/model.wasm", scripted("version=1"));
    super::refresh(&server);
    server.until_version_of("numbered", 1);
    let (cut, broken) = (&guest("scripted")[..1000], scripted("version=3;load=trap"));
    for (content, words) in [(cut, "truncated"), (&broken[..], "load")] {
        bucket.put("models/numbered/1/model.wasm", content);
        super::refresh(&server);
        server.until_entry("numbered", 1, words, |entry| entry.reason.contains(words));
        assert_eq!(server.version_of("numbered"), 1);
    }
    bucket.put("models/numbered/1/model.wasm", scripted("version=2"));
    super::refresh(&server);
    server.until_version_of("numbered", 2);
}

#[test]
fn objects_over_the_quota_are_not_fetched() {
    let Some(bucket) = super::Bucket::new() else { return };
    bucket.put("models/scripted.wasm", scripted("version=1"));
    let config = format!("{SELDOM}\n[tenants.default.quota]\nartifact_size = '16MiB'");
    let server = bucket.serve("models", &config).start();
    server.until_version_of("scripted", 1);
    let before = fetched(&server);
    bucket.put("models/large/1/model.wasm", scripted("version=1"));
    bucket.put("models/large/1/weights.bin", vec![0; 17 << 20]);
    let told = server.call("POST", "/v2/repository/refresh").send();
    assert!(
        told.refused(503, "repository_degraded").text().contains("`artifact_size` is 16MiB"),
        "{told}"
    );
    assert_eq!((fetched(&server), server.version_of("scripted")), (before, 1));
}

#[test]
fn an_interceptor_stays_until_its_replacement_arrives() {
    let Some((bucket, server)) = serving(SELDOM) else { return };
    let rejecting = |status| scripted_interceptor(&format!("name=audit;before=reject:{status}:no"));
    bucket.put("models/interceptors/audit/1/model.wasm", rejecting(451));
    super::refresh(&server);
    server.until_ready("interceptors/audit", 1);
    server.behave("scripted", "ok").refused(451, "rejected_by_interceptor");
    bucket.put("models/interceptors/audit/2/weights.bin", "the rest is on its way");
    bucket.delete("models/interceptors/audit/1/model.wasm");
    for _ in 0..2 {
        let told = server
            .call("POST", "/v2/repository/refresh")
            .send()
            .refused(503, "repository_degraded")
            .text();
        assert!(
            told.contains("interceptors/audit/2: no model.wasm or model file in it yet"),
            "{told}"
        );
        // The load command waits until the current state is settled and applied.
        server.load("scripted").ok();
        server.behave("scripted", "ok").refused(451, "rejected_by_interceptor");
    }
    let server = server.stop().start();
    server.until_ready("scripted", 1);
    server.behave("scripted", "ok").refused(451, "rejected_by_interceptor");
    bucket.put("models/interceptors/audit/2/model.wasm", rejecting(410));
    super::refresh(&server);
    server.until_ready("interceptors/audit", 2);
    server.behave("scripted", "ok").refused(410, "rejected_by_interceptor");
}

#[test]
fn invalid_credentials_unload_nothing() {
    let Some(store) = Store::start() else { return };
    store.ask("PUT", "/bucket", "", b"");
    store.ask("PUT", "/bucket/models/scripted.wasm", OWNER, &scripted("version=1"));
    let (id, secret) = store.user(&json!("s3:*"));
    store.checks_credentials();
    let with = |id: &str, secret: &str| {
        let setup = Server::with_models(|_| {}).models_at("s3://bucket/models").config(OFTEN);
        let setup = reachable_at(setup, store.address()).environment("AWS_ACCESS_KEY_ID", id);
        setup.environment("AWS_SECRET_ACCESS_KEY", secret).start()
    };
    let refused = with(&id, "wrong");
    until_degraded(&refused, "cannot be listed");
    assert!(
        !refused.log().contains("wrong") && !degraded(&refused).contains(&secret),
        "{}",
        refused.log()
    );
    let server = with(&id, &secret);
    server.until_version_of("scripted", 1);
    until("that all is well", || degraded(&server).is_empty());
}
