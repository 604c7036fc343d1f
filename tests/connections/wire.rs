//! A connection on which a test sends and reads single bytes.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use tokio::net::TcpSocket;

use crate::harness::Server;

/// Ample time for two busy cores.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a server, or to a proxy in front of one.
pub(super) struct Wire {
    stream: TcpStream,
    /// Bytes that were read and belong to no response yet.
    read: Vec<u8>,
}

/// A parsed response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
}

impl Wire {
    pub(super) fn to(server: &Server) -> Wire {
        Wire::connect(server.address())
    }

    pub(super) fn connect(address: SocketAddr) -> Wire {
        Wire::over(TcpStream::connect(address).unwrap())
    }

    /// Connects from another address of this machine.
    pub(super) fn from_address(source: IpAddr, server: &Server) -> Wire {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stream = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind((source, 0).into()).unwrap();
            socket.connect(server.address()).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        Wire::over(stream)
    }

    fn over(stream: TcpStream) -> Wire {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Wire { stream, read: Vec::new() }
    }

    /// Sends all bytes before anything is read, as many clients do.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Reads the next response.
    pub(super) fn answer(&mut self) -> io::Result<Answer> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.more()?;
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let answer = Answer { status, head };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.read.len() < length {
            self.more()?;
        }
        self.read.drain(..length);
        Ok(answer)
    }

    /// Asserts that the server closes its side in an orderly way, without further bytes.
    #[track_caller]
    pub(super) fn ends(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("an end without a reset");
        assert!(self.read.is_empty() && rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }

    /// Asserts that the connection can be used again.
    #[track_caller]
    pub(super) fn goes_on(&mut self) {
        self.send("GET /v2/health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        assert_eq!(self.answer().unwrap().status, 200);
    }

    /// Waits until the server ends the connection, in any way.
    pub(super) fn until_ended(&mut self) {
        let mut rest = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
    }

    fn more(&mut self) -> io::Result<()> {
        let mut bytes = [0; 16 << 10];
        match self.stream.read(&mut bytes)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.read.extend_from_slice(&bytes[..length]);
                Ok(())
            }
        }
    }
}

impl Answer {
    /// Returns the value of a header; `name` is in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Returns true if the response announces that the connection closes.
    pub(super) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}
