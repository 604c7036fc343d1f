//! A repository on a web server that lists its folders, with and without TLS.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{SELDOM, fetched, refresh, until_degraded};
use crate::egress::tls::localhost;
use crate::harness::{Server, scripted, until};

/// The files of a web server, by path.
type Files = BTreeMap<&'static str, Vec<u8>>;

fn files() -> Mutex<Files> {
    Mutex::new(BTreeMap::from([
        ("/models/scripted.wasm", scripted("version=1")),
        ("/models/numbered/1/model.wasm", scripted("version=2")),
        ("/elsewhere.wasm", scripted("version=3")),
    ]))
}

/// Serves these files over whatever `wrap` returns for a connection, and returns the port. Its
/// thread lives as long as the process.
fn serve<S: Read + Write>(
    files: impl Into<Arc<Mutex<Files>>>,
    wrap: impl Fn(TcpStream) -> S + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let shared = Arc::new((files.into(), wrap));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shared = shared.clone();
            // A client that disconnects, or that rejects the certificate, is no fault.
            thread::spawn(move || drop(answer(&shared.0, (shared.1)(stream))));
        }
    });
    port
}

fn answer(files: &Mutex<Files>, stream: impl Read + Write) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head)? > 0 {}
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, etag, body) = respond(&mut files.lock().unwrap(), method, path);
    let modified = "last-modified: Sun, 01 Feb 2026 00:00:00 GMT";
    let head = format!(
        "HTTP/1.1 {status}\r\n{modified}\r\netag: {etag}\r\ncontent-length: {}\r\n",
        body.len()
    );
    stream.get_mut().write_all(format!("{head}connection: close\r\n\r\n").as_bytes())?;
    stream.get_mut().write_all(&body)?;
    stream.get_mut().flush()
}

/// Returns the status, the ETag and the body of a response.
fn respond(files: &mut Files, method: &str, path: &str) -> (&'static str, String, Vec<u8>) {
    match (method, files.get(path)) {
        ("PROPFIND", _) => ("207 Multi-Status", String::new(), list(files, path).into_bytes()),
        ("GET", Some(content)) => ("200 OK", etag(content), content.clone()),
        ("DELETE", Some(_)) => {
            files.remove(path);
            ("204 No Content", String::new(), Vec::new())
        }
        _ => ("404 Not Found", String::new(), Vec::new()),
    }
}

fn list(files: &Files, folder: &str) -> String {
    let mut listing = String::from("<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\">");
    let modified = "<D:getlastmodified>Sun, 01 Feb 2026 00:00:00 GMT</D:getlastmodified>";
    let of = format!("{modified}<D:resourcetype><D:collection/></D:resourcetype>");
    let found = format!(
        "<D:propstat><D:prop>{of}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
    );
    write!(listing, "<D:response><D:href>{folder}/</D:href>{found}</D:response>").unwrap();
    for (path, content) in files.iter().filter(|(path, _)| path.starts_with(folder)) {
        let (length, etag) = (content.len(), etag(content));
        let modified =
            "<D:getlastmodified>Sun, 01 Feb 2026 00:00:00 GMT</D:getlastmodified><D:resourcetype/>";
        let of = format!(
            "{modified}<D:getcontentlength>{length}</D:getcontentlength><D:getetag>{etag}</D:getetag>"
        );
        let found = format!(
            "<D:propstat><D:prop>{of}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
        );
        write!(listing, "<D:response><D:href>{path}</D:href>{found}</D:response>").unwrap();
    }
    listing + "</D:multistatus>"
}

fn etag(content: &[u8]) -> String {
    format!("\"{}\"", wardian::model::Digest::sha256(content))
}

#[test]
fn models_load_from_a_web_server() {
    let port = serve(files(), |stream| stream);
    let server = Server::with_models(|_| {})
        .models_at(&format!("http://127.0.0.1:{port}/models"))
        .config(SELDOM)
        .start();
    server.until_version_of("scripted", 1);
    server.until_version_of("numbered", 2);
    assert_eq!(server.index().len(), 2);
    let before = fetched(&server);
    refresh(&server);
    assert_eq!(fetched(&server), before);
}

#[test]
fn old_versions_are_deleted_from_a_web_server() {
    let files = Arc::new(files());
    let port = serve(files.clone(), |stream| stream);
    let mut added = files.lock().unwrap();
    added.insert("/models/numbered/model.toml", b"prune = 1".to_vec());
    added.insert("/models/numbered/2/model.wasm", scripted("version=4"));
    drop(added);
    let server = Server::with_models(|_| {})
        .models_at(&format!("http://127.0.0.1:{port}/models"))
        .config(SELDOM)
        .start();
    server.until_version_of("numbered", 4);
    until("that version 1 is gone", || {
        !files.lock().unwrap().contains_key("/models/numbered/1/model.wasm")
    });
    until_degraded(&server, "");
    assert_eq!(files.lock().unwrap().len(), 4);
}

#[test]
fn a_web_servers_certificate_is_verified() {
    let (wrap, authority) = localhost();
    let port = serve(files(), wrap);
    let setup = Server::with_models(|_| {})
        .models_at(&format!("https://localhost:{port}/models"))
        .config(SELDOM);
    let server = setup.start();
    until_degraded(&server, "cannot be listed");
    let setup = server.stop();
    setup.models().put("../authority.pem", authority);
    let file = setup.models().path("../authority.pem");
    let server = setup.environment("SSL_CERT_FILE", file.to_str().unwrap()).start();
    server.until_version_of("scripted", 1);
}
