//! Repeated swaps of a model under load.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::harness::{Server, scripted};

const CONNECTIONS: usize = 16;
const SWAPS: u64 = 100;

/// Growth of resident memory that counts as noise: buffers, the allocator's arenas, warm slots.
/// Each swap maps about 300 kB of code and data, so versions that are not freed would show as 27
/// MB.
const NOISE: u64 = 12 << 20;

#[test]
fn a_model_is_swapped_repeatedly_under_load() {
    let server = Server::with_models(|models| models.bare("scripted", alternating(1))).start();
    server.until_ready("scripted", 1);
    let fire = Fire::open(server.address());
    let mut early = 0;
    for version in 2..=SWAPS + 1 {
        server.models().bare("scripted", alternating(version));
        server.until_ready("scripted", version);
        fire.until_seen(version);
        if version == SWAPS / 4 {
            early = server.resident();
        }
    }
    let late = server.resident();
    let answers = fire.cease();
    assert!(answers > SWAPS as usize * CONNECTIONS, "only {answers} answers");
    assert_eq!(server.metric("wardian_request_failures_total"), Some(0.0));
    assert!(late < early + NOISE, "resident memory went from {early} to {late} bytes");
    server.stop();
}

/// Two alternating contents: odd versions return 1 and even ones return 2.
fn alternating(version: u64) -> Vec<u8> {
    scripted(&format!("version={}", says(version)))
}

fn says(version: u64) -> i64 {
    if version % 2 == 1 { 1 } else { 2 }
}

/// Connections that send requests without pause and check every response.
struct Fire {
    cease: Arc<AtomicBool>,
    seen: Arc<Mutex<u64>>,
    workers: Vec<JoinHandle<usize>>,
}

impl Fire {
    fn open(address: SocketAddr) -> Fire {
        let (cease, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(0)));
        let worker = |_| {
            let (cease, seen) = (cease.clone(), seen.clone());
            std::thread::spawn(move || ask_on(address, &cease, &seen))
        };
        let workers = (0..CONNECTIONS).map(worker).collect();
        Fire { cease, seen, workers }
    }

    /// Waits until a connection has had a response of this version.
    fn until_seen(&self, version: u64) {
        crate::harness::until(&format!("an answer of version {version}"), || {
            assert!(!self.workers.iter().any(JoinHandle::is_finished), "a connection has failed");
            *self.seen.lock().unwrap() >= version
        });
    }

    /// Stops the load, and returns the number of responses, each of them correct.
    fn cease(self) -> usize {
        self.cease.store(true, Ordering::Relaxed);
        self.workers.into_iter().map(|worker| worker.join().expect("every answer is right")).sum()
    }
}

fn ask_on(address: SocketAddr, cease: &AtomicBool, seen: &Mutex<u64>) -> usize {
    let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
    let (mut answers, mut last) = (0, 0);
    while !cease.load(Ordering::Relaxed) {
        let version = check(&ask(&mut stream));
        assert!(version >= last, "version {version} answered after version {last}");
        last = version;
        answers += 1;
        let mut seen = seen.lock().unwrap();
        *seen = version.max(*seen);
    }
    answers
}

/// Sends one request over a persistent connection.
fn ask(stream: &mut BufReader<TcpStream>) -> Value {
    const BODY: &str = r#"{"inputs":[]}"#;
    const PATH: &str = "/v2/models/scripted/infer";
    write!(
        stream.get_mut(),
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
    .unwrap();
    let (mut line, mut length) = (String::new(), 0);
    stream.read_line(&mut line).unwrap();
    let status = line.clone();
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK\r\n", "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

/// Asserts that a response belongs wholly to one version, and returns that version.
fn check(answer: &Value) -> u64 {
    let version: u64 = answer["model_version"].as_str().unwrap().parse().unwrap();
    let output = |name: &str| {
        let outputs = answer["outputs"].as_array().unwrap();
        let output = outputs.iter().find(|output| output["name"] == name).unwrap();
        output["data"].as_array().unwrap().clone()
    };
    let said = says(version);
    assert_eq!(output("version"), [said], "version {version}");
    assert!(output("copies").iter().all(|copy| *copy == said), "version {version} is mixed");
    version
}
