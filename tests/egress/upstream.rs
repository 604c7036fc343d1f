//! A small HTTP server for models to call.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// An HTTP server of one test. Its thread ends with the test's process.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Connections ever made, and open connections.
    made: AtomicUsize,
    open: AtomicUsize,
    /// Heads of the requests received.
    heads: Mutex<Vec<String>>,
}

impl Upstream {
    pub(crate) fn start() -> Upstream {
        Self::start_with(|stream| stream)
    }

    /// Starts a server over whatever `wrap` returns for a connection.
    pub(crate) fn start_with<S: Read + Write>(
        wrap: impl Fn(TcpStream) -> S + Send + Sync + 'static,
    ) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let (shared, wrap) = (seen.clone(), Arc::new(wrap));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, seen, wrap) = (stream.unwrap(), shared.clone(), wrap.clone());
                seen.made.fetch_add(1, Ordering::SeqCst);
                seen.open.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    // A client that disconnects is no fault.
                    let _ = serve(wrap(stream), &seen);
                    seen.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Upstream { address, seen }
    }

    /// Returns the number of connections ever made.
    pub(crate) fn made(&self) -> usize {
        self.seen.made.load(Ordering::SeqCst)
    }

    /// Returns the number of open connections.
    pub(crate) fn open(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }

    /// Returns the heads of the requests received.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.seen.heads.lock().unwrap().clone()
    }
}

/// Answers the requests of one connection until the client closes it.
fn serve<S: Read + Write>(stream: S, seen: &Seen) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        seen.heads.lock().unwrap().push(head.clone());
        let body = read_body(&mut stream, &head)?;
        let path = head.split(' ').nth(1).unwrap_or_default();
        answer(&mut stream, path, &format!("{body} bytes came with {head}"))?;
    }
}

fn read_body(stream: &mut impl BufRead, head: &str) -> std::io::Result<usize> {
    let mut sum = 0;
    if !head.to_lowercase().contains("transfer-encoding: chunked") {
        return Ok(0);
    }
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        std::io::copy(&mut stream.by_ref().take(length as u64 + 2), &mut std::io::sink())?;
        sum += length;
        if length == 0 {
            return Ok(sum);
        }
    }
}

fn answer<S: Read + Write>(
    stream: &mut BufReader<S>,
    path: &str,
    echo: &str,
) -> std::io::Result<()> {
    let path = path.trim_start_matches('/');
    let (route, argument) = path.split_once('/').unwrap_or((path, ""));
    let out = stream.get_mut();
    match route {
        "to" => write!(
            out,
            "HTTP/1.1 302 Found\r\nlocation: http://{argument}\r\ncontent-length: 0\r\n\r\n"
        ),
        "announce" => {
            write!(out, "HTTP/1.1 200 OK\r\ncontent-length: {argument}\r\n\r\nThe first bytes")
        }
        "large" => large(out, argument.parse().unwrap()),
        "header" => {
            write!(
                out,
                "HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n",
                "x".repeat(argument.parse().unwrap())
            )
        }
        // Sends nothing more until the client has gone.
        "silent" => std::io::copy(stream, &mut std::io::sink()).map(drop),
        _ => write!(out, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{echo}", echo.len()),
    }?;
    stream.get_mut().flush()
}

/// Sends this many MiB without announcing the length.
fn large(out: &mut impl Write, mebibytes: usize) -> std::io::Result<()> {
    write!(out, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..mebibytes {
        write!(out, "{:x}\r\n", chunk.len())?;
        out.write_all(&chunk)?;
        write!(out, "\r\n")?;
    }
    write!(out, "0\r\n\r\n")
}
