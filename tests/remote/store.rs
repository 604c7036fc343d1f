//! A real S3 server, and the objects of the tests.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::program::{Program, ask};
use super::tcp_proxy::TcpProxy;
use crate::harness::{PYTHON, Server, Setup};

/// A running S3 server.
pub(crate) struct Store {
    address: SocketAddr,
    _program: Program,
}

impl Store {
    /// Starts an S3 server. Returns `None` if there is no Python environment for it.
    pub(crate) fn start() -> Option<Store> {
        let store = Self::try_start();
        if store.is_none() {
            skip();
        }
        store
    }

    fn try_start() -> Option<Store> {
        // `cargo xtask test` prepares the environment; a plain `cargo test` cannot.
        let python = std::env::var_os("WARDIAN_PYTHON")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/remote/store.py");
        let (program, said) = Program::start(Command::new(python).arg(script), 1);
        let address = said.first().and_then(|said| said.parse().ok());
        let address =
            address.expect("the store says where it listens; is moto[s3,server] installed?");
        Some(Store { address, _program: program })
    }

    /// Returns the S3 server that the tests share; each test has a bucket of its own.
    fn shared() -> Option<&'static Store> {
        static SHARED: OnceLock<Option<Store>> = OnceLock::new();
        let shared = SHARED.get_or_init(Store::try_start).as_ref();

        if shared.is_none() {
            skip();
        }
        shared
    }

    /// Sends a request that must succeed. Returns the whole response.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> String {
        ask(self.address, method, path, headers, body)
    }
}

fn skip() {
    PYTHON.skip("WARDIAN_PYTHON names no Python with moto");
}

/// The headers of the owner, which the server accepts unless it checks signatures.
pub(crate) const OWNER: &str = "content-type: application/octet-stream\r\nauthorization: AWS4-HMAC-SHA256 \
                                Credential=any/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=any\r\n";

/// A bucket of the shared S3 server, behind a proxy that can be shut.
pub(crate) struct Bucket {
    store: &'static Store,
    name: String,
    pub(crate) proxy: TcpProxy,
}

impl Bucket {
    /// Makes a bucket. Returns `None` if there is no S3 server.
    pub(crate) fn new() -> Option<Bucket> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let store = Store::shared()?;
        // Without a hyphen: one client encodes it as %2D, which this server treats as a different
        // name.
        let name = format!("bucket{}", COUNT.fetch_add(1, Ordering::Relaxed));
        store.ask("PUT", &format!("/{name}"), "", b"");
        Some(Bucket { store, name, proxy: TcpProxy::to(store.address) })
    }

    /// Writes an object.
    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        self.store.ask("PUT", &format!("/{}/{path}", self.name), OWNER, content.as_ref());
    }

    /// Writes the files of a folder as objects.
    pub(crate) fn put_folder(&self, from: &Path, to: &str) {
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            self.put(&format!("{to}/{name}"), std::fs::read(entry.path()).unwrap());
        }
    }

    /// Removes an object.
    pub(crate) fn delete(&self, path: &str) {
        self.store.ask("DELETE", &format!("/{}/{path}", self.name), OWNER, b"");
    }

    /// Returns the names of all objects, sorted.
    pub(crate) fn keys(&self) -> Vec<String> {
        let listing = self.store.ask("GET", &format!("/{}?list-type=2", self.name), OWNER, b"");
        texts(&listing, "Key").map(str::to_owned).collect()
    }

    /// Allows anonymous reads and writes.
    pub(crate) fn open_to_all(&self) {
        let resource = format!("arn:aws:s3:::{}/*", self.name);
        let statement =
            json!({ "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": resource });
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
        self.store.ask("PUT", &format!("/{}?policy", self.name), OWNER, policy.as_bytes());
    }

    /// Returns the name of the bucket.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the URL of a folder in the bucket.
    pub(crate) fn url(&self, folder: &str) -> String {
        format!("s3://{}/{folder}", self.name)
    }

    /// A server, not yet started, whose repository is a folder of the bucket.
    pub(crate) fn serve(&self, folder: &str, config: &str) -> Setup {
        self.reachable(Server::with_models(|_| {})).models_at(&self.url(folder)).config(config)
    }

    /// Configures a server to reach the bucket.
    pub(crate) fn reachable(&self, setup: Setup) -> Setup {
        reachable_at(setup, self.proxy.address())
            .environment("AWS_ACCESS_KEY_ID", "any")
            .environment("AWS_SECRET_ACCESS_KEY", "any")
    }
}

/// Configures the address of S3 for a server.
pub(crate) fn reachable_at(setup: Setup, address: SocketAddr) -> Setup {
    let endpoint = format!("http://{address}");
    setup
        .environment("AWS_ENDPOINT", &endpoint)
        .environment("AWS_ALLOW_HTTP", "true")
        .environment("AWS_REGION", "us-east-1")
}

impl Store {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Creates a user who is allowed these actions. Returns the id of its key, and the key.
    pub(crate) fn user(&self, actions: &Value) -> (String, String) {
        let iam = "content-type: application/x-www-form-urlencoded\r\nauthorization: AWS4-HMAC-SHA256 \
                   Credential=any/20200101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=any\r\n";
        let ask = |action: &str| {
            let body = format!("Version=2010-05-08&UserName=u&Action={action}");
            self.ask("POST", "/", iam, body.as_bytes())
        };
        let statement = json!({ "Effect": "Allow", "Action": actions, "Resource": "*" });
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
        ask("CreateUser");
        ask(&format!("PutUserPolicy&PolicyName=p&PolicyDocument={policy}"));
        let key = ask("CreateAccessKey");
        let part = |name| {
            let found = texts(&key, name).next();
            found.unwrap_or_else(|| panic!("no {name} in {key}")).to_owned()
        };
        (part("AccessKeyId"), part("SecretAccessKey"))
    }

    /// From here on the server checks credentials and signatures.
    pub(crate) fn checks_credentials(&self) {
        self.ask("POST", "/moto-api/reset-auth", OWNER, b"0");
    }
}

/// Returns the texts of the elements of this name in an XML document.
pub(crate) fn texts<'d>(document: &'d str, name: &str) -> impl Iterator<Item = &'d str> {
    let after = document.split(&format!("<{name}>")).skip(1).collect::<Vec<_>>();
    after.into_iter().map(|rest| rest.split('<').next().unwrap_or_default())
}
