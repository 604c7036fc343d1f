//! Stores with other protocols than S3.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::fake::{Fake, Kind};
use super::program::{Program, ask};
use super::store::{Bucket, texts};
use super::{OFTEN, SELDOM, degraded, fetched, refresh, until_degraded};
use crate::harness::{NODE, Server, Setup, scripted, until};

/// Asserts that objects that are added, changed and deleted in a store are served accordingly, and
/// fetched once.
fn follows(setup: Setup, put: impl Fn(&str, &[u8]), delete: impl Fn(&str)) {
    put("models/scripted.wasm", &scripted("version=1"));
    put("models/numbered/model.toml", b"versions = 'all'");
    put("models/numbered/1/large.bin", &vec![7; 1 << 20]);
    put("models/numbered/1/model.wasm", &scripted("version=1"));
    put("elsewhere/other.wasm", &scripted("version=1"));
    let server = setup.config(SELDOM).start();
    server.until_version_of("scripted", 1);
    server.until_version_of("numbered", 1);
    until_degraded(&server, "");
    let (before, changed) = (fetched(&server), scripted("version=2"));
    put("models/numbered/1/model.wasm", &changed);
    delete("models/scripted.wasm");
    refresh(&server);
    server.until_version_of("numbered", 2);
    server.until_gone("scripted");
    assert_eq!(fetched(&server) - before, changed.len() as f64, "nothing else has changed");
    assert_eq!(server.index().len(), 1);
    let server = server.stop().start();
    server.until_version_of("numbered", 2);
    until_degraded(&server, "");
    assert_eq!(fetched(&server), 0.0);
}

/// Asserts that `prune` deletes the objects of old versions, and no others.
fn prunes(setup: Setup, put: impl Fn(&str, &[u8]), keys: impl Fn() -> Vec<String>) {
    put("models/scripted/model.toml", b"prune = 1");
    for version in 1..=3 {
        put(&format!("models/scripted/{version}/notes.txt"), b"notes");
        let component = scripted(&format!("version={version}"));
        put(&format!("models/scripted/{version}/model.wasm"), &component);
    }
    let server = setup.config(SELDOM).start();
    server.until_version_of("scripted", 3);
    let left =
        ["3/model.wasm", "3/notes.txt", "model.toml"].map(|key| format!("models/scripted/{key}"));
    until("that version 3 is left", || keys() == left);
    until_degraded(&server, "");
    until("that 2 versions are counted", || {
        server.metric("wardian_pruned_versions_total") == Some(2.0)
    });
}

#[test]
fn models_load_from_google_cloud_storage() {
    let Some(bucket) = Bucket::new() else { return };
    let setup = google(&bucket).environment("GOOGLE_SKIP_SIGNATURE", "true");
    follows(setup, |path, content| bucket.put(path, content), |path| bucket.delete(path));
}

#[test]
fn old_versions_are_deleted_from_google_cloud_storage() {
    let Some(bucket) = Bucket::new() else { return };
    // Requests that delete always have a token, here from the machine's metadata server.
    let metadata_server = Fake::new(Kind::Google, Vec::new());
    metadata_server
        .answer(200, r#"{"access_token":"any","expires_in":3600,"token_type":"Bearer"}"#);
    let address = metadata_server.address().to_string();
    let setup = google(&bucket).environment("GCE_METADATA_HOST", &address);
    prunes(setup, |path, content| bucket.put(path, content), || bucket.keys());
}

/// A server, not yet started, that reaches a bucket as one of Google Cloud Storage, which uses the
/// protocol of S3, except for authentication.
fn google(bucket: &Bucket) -> Setup {
    bucket.open_to_all();
    Server::with_models(|_| {})
        .models_at(&format!("gs://{}/models", bucket.name()))
        .environment("GOOGLE_BASE_URL", &format!("http://{}", bucket.proxy.address()))
}

#[test]
fn models_load_from_azure_blob_storage() {
    let Some(container) = Container::start() else { return };
    let setup = container.serve(KEY);
    follows(setup, |path, content| container.put(path, content), |path| container.delete(path));
}

#[test]
fn old_versions_are_deleted_from_azure_blob_storage() {
    let Some(container) = Container::start() else { return };
    let setup = container.serve(KEY);
    prunes(setup, |path, content| container.put(path, content), || container.keys());
}

#[test]
fn azure_blob_storage_requires_the_account_key() {
    let Some(container) = Container::start() else { return };
    let wrong = "d3Jvbmcga2V5";
    let server = container.serve(wrong).config(OFTEN).start();
    until_degraded(&server, "cannot be listed");
    assert!(
        !server.log().contains(wrong) && !degraded(&server).contains(wrong),
        "{}",
        server.log()
    );
}

/// A container of a running Azure Blob Storage server.
struct Container {
    address: SocketAddr,
    /// A signature for the URL that allows every operation.
    signature: String,
    _program: Program,
}

/// The only account of the server, and its key.
const ACCOUNT: &str = "tests";
const KEY: &str = "dGhlIHJpZ2h0IGtleQ==";

impl Container {
    /// Starts a server with a container. Returns `None` if there is no Node.js.
    fn start() -> Option<Container> {
        let Some(packages) = std::env::var_os("WARDIAN_NODE_PACKAGES") else {
            NODE.skip("WARDIAN_NODE_PACKAGES names no folder with azurite");
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/remote/azure.js");
        let mut command = Command::new("node");
        command
            .arg(script)
            .env("NODE_PATH", packages)
            .env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{KEY}"));
        let (program, said) = Program::start(&mut command, 2);
        let [address, signature] =
            said.try_into().expect("the store says where it listens; is azurite installed?");
        let container =
            Container { address: address.parse().unwrap(), signature, _program: program };
        container.ask("PUT", "?restype=container&", b"");
        Some(container)
    }

    fn put(&self, path: &str, content: &[u8]) {
        self.ask("PUT", &format!("/{path}?"), content);
    }

    fn delete(&self, path: &str) {
        self.ask("DELETE", &format!("/{path}?"), b"");
    }

    /// Returns the names of all objects, sorted.
    fn keys(&self) -> Vec<String> {
        let listing = self.ask("GET", "?restype=container&comp=list&", b"");
        texts(&listing, "Name").map(str::to_owned).collect()
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> String {
        let path = format!("/{ACCOUNT}/container{path}{}", self.signature);
        ask(self.address, method, &path, "x-ms-blob-type: BlockBlob\r\n", body)
    }

    /// A server, not yet started, whose repository is a folder of the container, with this key.
    fn serve(&self, key: &str) -> Setup {
        let setup = Server::with_models(|_| {}).models_at("az://container/models");
        setup
            .environment("AZURE_STORAGE_USE_EMULATOR", "true")
            .environment("AZURITE_BLOB_STORAGE_URL", &format!("http://{}", self.address))
            .environment("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
            .environment("AZURE_STORAGE_ACCOUNT_KEY", key)
    }
}
