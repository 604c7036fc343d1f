//! A fake store of any kind that answers listing requests as a test says.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::{Server, Setup};

/// The protocol of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    S3,
    Google,
    Azure,
    Web,
}

pub(super) const KINDS: [Kind; 4] = [Kind::S3, Kind::Google, Kind::Azure, Kind::Web];

const DATE: &str = "Sun, 01 Feb 2026 00:00:00 GMT";

/// A store whose objects all have the same content.
pub(super) struct Fake {
    kind: Kind,
    address: SocketAddr,
    listing: Arc<Mutex<(u16, Vec<u8>)>>,
}

impl Fake {
    /// Starts a store that lists nothing. Its thread lives as long as the process.
    pub(super) fn new(kind: Kind, content: Vec<u8>) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let fake = Fake { kind, address, listing: Arc::default() };
        fake.list(&[], content.len());
        let shared = Arc::new((fake.listing.clone(), content));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || drop(answer(stream, &shared.0, &shared.1)));
            }
        });
        fake
    }

    /// Returns where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the response to listing requests.
    pub(super) fn answer(&self, status: u16, body: impl Into<Vec<u8>>) {
        *self.listing.lock().unwrap() = (status, body.into());
    }

    /// Sets the listed objects: their keys as written into the response, and their size in bytes.
    pub(super) fn list(&self, keys: &[&str], size: usize) {
        self.answer(self.success(), self.kind.page(keys, size));
    }

    /// Returns the status of a successful listing.
    pub(super) fn success(&self) -> u16 {
        if self.kind == Kind::Web { 207 } else { 200 }
    }

    /// A server, not yet started, whose repository is the folder `models` of the store.
    pub(super) fn serve(&self) -> Setup {
        let (url, at) = (self.kind.url(self.address), format!("http://{}", self.address));
        let setup = Server::with_models(|_| {}).models_at(&url);
        let environment: &[(&str, &str)] = match self.kind {
            Kind::S3 => &[
                ("AWS_ENDPOINT", &at),
                ("AWS_ALLOW_HTTP", "true"),
                ("AWS_REGION", "any"),
                ("AWS_SKIP_SIGNATURE", "true"),
            ],
            Kind::Google => &[("GOOGLE_BASE_URL", &at), ("GOOGLE_SKIP_SIGNATURE", "true")],
            Kind::Azure => &[
                ("AZURE_STORAGE_USE_EMULATOR", "true"),
                ("AZURITE_BLOB_STORAGE_URL", &at),
                ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
                ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5"),
            ],
            Kind::Web => &[],
        };
        environment.iter().fold(setup, |setup, (name, value)| setup.environment(name, value))
    }
}

impl Kind {
    fn url(self, address: SocketAddr) -> String {
        match self {
            Kind::S3 => "s3://bucket/models".into(),
            Kind::Google => "gs://bucket/models".into(),
            Kind::Azure => "az://bucket/models".into(),
            Kind::Web => format!("http://{address}/models"),
        }
    }

    /// Returns a listing of these objects.
    pub(super) fn page(self, keys: &[&str], size: usize) -> String {
        let entries: String = keys.iter().map(|key| self.entry(key, size)).collect();
        match self {
            Kind::S3 | Kind::Google => format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult \
                 xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>bucket</Name><Prefix>models/</Prefix>\
                 <KeyCount>{}</KeyCount><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>",
                keys.len()
            ),
            Kind::Azure => format!(
                "<?xml version=\"1.0\"?><EnumerationResults ServiceEndpoint=\"http://store/\" \
                 ContainerName=\"bucket\"><Prefix>models/</Prefix><Blobs>{entries}</Blobs><NextMarker/>\
                 </EnumerationResults>"
            ),
            Kind::Web => format!(
                "<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>/models/</D:href>\
                 <D:propstat><D:prop><D:getlastmodified>{DATE}</D:getlastmodified><D:resourcetype><D:collection/>\
                 </D:resourcetype></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>{entries}\
                 </D:multistatus>"
            ),
        }
    }

    fn entry(self, key: &str, size: usize) -> String {
        match self {
            Kind::S3 | Kind::Google => format!(
                "<Contents><Key>{key}</Key><LastModified>2026-02-01T00:00:00.000Z</LastModified>\
                 <ETag>&quot;1&quot;</ETag><Size>{size}</Size></Contents>"
            ),
            Kind::Azure => format!(
                "<Blob><Name>{key}</Name><Properties><Last-Modified>{DATE}</Last-Modified><Etag>1</Etag>\
                 <Content-Length>{size}</Content-Length><Content-Type>application/wasm</Content-Type></Properties>\
                 </Blob>"
            ),
            Kind::Web => format!(
                "<D:response><D:href>/{key}</D:href><D:propstat><D:prop><D:getlastmodified>{DATE}\
                 </D:getlastmodified><D:resourcetype/><D:getcontentlength>{size}</D:getcontentlength>\
                 <D:getetag>\"1\"</D:getetag></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
            ),
        }
    }
}

fn answer(stream: TcpStream, listing: &Mutex<(u16, Vec<u8>)>, content: &[u8]) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head)? > 0 {}
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match path.contains("wasm") {
        true => (200, content.to_owned()),
        false => listing.lock().unwrap().clone(),
    };
    let head = format!(
        "HTTP/1.1 {status} Any\r\nlast-modified: {DATE}\r\netag: \"1\"\r\ncontent-length: {}",
        body.len()
    );
    stream.get_mut().write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes())?;
    stream.get_mut().write_all(&body)?;
    stream.get_mut().flush()
}
