//! Stores that speak other protocols than S3.

use super::store::Bucket;
use super::{SELDOM, fetched, refresh, until_degraded};
use crate::harness::{Server, Setup, puppet};

/// What is put into a store, changed and deleted there comes to serve, and is fetched once.
fn follows(setup: Setup, put: impl Fn(&str, &[u8]), delete: impl Fn(&str)) {
    put("models/puppet.wasm", &puppet("version=1"));
    put("models/numbered/model.toml", b"versions = 'all'");
    put("models/numbered/1/large.bin", &vec![7; 1 << 20]);
    put("models/numbered/1/model.wasm", &puppet("version=1"));
    put("elsewhere/other.wasm", &puppet("version=1"));
    let server = setup.config(SELDOM).start();
    server.until_version_of("puppet", 1);
    server.until_version_of("numbered", 1);
    until_degraded(&server, "");
    let (before, changed) = (fetched(&server), puppet("version=2"));
    put("models/numbered/1/model.wasm", &changed);
    delete("models/puppet.wasm");
    refresh(&server);
    server.until_version_of("numbered", 2);
    server.until_gone("puppet");
    assert_eq!(fetched(&server) - before, changed.len() as f64, "nothing else has changed");
    assert_eq!(server.index().len(), 1);
    let server = server.stop().start();
    server.until_version_of("numbered", 2);
    until_degraded(&server, "");
    assert_eq!(fetched(&server), 0.0);
}

#[test]
fn models_come_from_google_cloud_storage() {
    // It is asked in the words of S3, but for those that tell who asks.
    let Some(bucket) = Bucket::new() else { return };
    bucket.open_to_all();
    let setup = Server::with_models(|_| {}).models_at(&format!("gs://{}/models", bucket.name()));
    let setup = setup
        .environment("GOOGLE_BASE_URL", &format!("http://{}", bucket.door.address()))
        .environment("GOOGLE_SKIP_SIGNATURE", "true");
    follows(setup, |path, content| bucket.put(path, content), |path| bucket.delete(path));
}
