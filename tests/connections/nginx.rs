//! The same refusals through nginx, which reports a broken connection as a failure of the server.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::unread_bodies::{Framing, REFUSALS, server};
use super::wire::Wire;
use crate::harness::{NGINX, Server, until};

/// A running nginx. Dropping it stops it and removes its directory.
struct Nginx {
    process: Child,
    address: SocketAddr,
    directory: tempfile::TempDir,
}

impl Nginx {
    /// Starts nginx in front of a server. Returns `None`, with a reason printed, if nginx is not
    /// installed.
    fn before(server: &Server) -> Option<Nginx> {
        let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let Some(program) = program else {
            NGINX.skip("nginx is not installed");
            return None;
        };
        let directory = tempfile::Builder::new().prefix("wardian-nginx-").tempdir().unwrap();
        // A port that was free a moment ago; nginx cannot choose one by itself.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        std::fs::write(directory.path().join("nginx.conf"), configuration(server, address))
            .unwrap();
        let mut command = Command::new(program);
        command.arg("-p").arg(directory.path()).args(["-c", "nginx.conf", "-e", "error.log"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let nginx = Nginx { process: command.spawn().unwrap(), address, directory };
        until("that nginx listens", || TcpStream::connect(address).is_ok());
        Some(nginx)
    }

    /// Returns the error log of nginx.
    fn complaints(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("error.log")).unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A configuration with shared persistent connections to the server, and default buffering of
/// bodies.
fn configuration(server: &Server, address: SocketAddr) -> String {
    let server = server.address();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let paths: String = paths.iter().map(|name| format!("{name}_temp_path {name};\n")).collect();
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log error.log warn;
        events {{ worker_connections 64; }}
        http {{
            access_log off; client_max_body_size 0; client_body_buffer_size 1m; {paths}
            upstream wardian {{ server {server}; keepalive 4; }}
            server {{
                listen {address};
                proxy_http_version 1.1; proxy_set_header Connection ''; proxy_next_upstream off;
                location / {{ proxy_pass http://wardian; }}
                location /streamed/ {{ proxy_pass http://wardian/; proxy_request_buffering off; }}
            }}
        }}"
    )
}

#[test]
fn a_refusal_passes_through_the_proxy() {
    let server = server();
    let Some(nginx) = Nginx::before(&server) else { return };
    for refusal in &REFUSALS {
        let sizes = [1 << 10, 1 << 20, 30 << 20, 100 << 20]
            .into_iter()
            .filter(|size| *size >= refusal.least);
        for size in sizes {
            for prefix in ["", "/streamed"] {
                let mut wire = Wire::connect(nginx.address);
                let context = format!("{} {prefix}{} {size}", refusal.status, refusal.path);
                wire.send(refusal.bytes(prefix, Framing::Length, size))
                    .unwrap_or_else(|error| panic!("{context}: {error}"));
                let answer = wire.answer().unwrap_or_else(|error| panic!("{context}: {error}"));
                assert_eq!(answer.status, refusal.status, "{context}: {}", nginx.complaints());
            }
        }
    }
    let complaints: Vec<_> = nginx
        .complaints()
        .lines()
        .filter(|line| line.contains("[error]"))
        .map(str::to_owned)
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
