//! A tenant with short requests beside one that runs ResNet-50 without end.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::Result;

use super::super::http_client::Client;
use super::super::models;
use super::super::neighbours::{Greedy, measure_beside};
use super::super::options::Options;
use super::super::process::Server;
use super::super::throughput::wait_until_ready;
use super::files::{Networks, RESNET_50};

/// Connections of the tenant with the network.
const CONNECTIONS: usize = 8;

/// Measures and prints.
pub(super) fn run(options: &Options, networks: &Networks) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = two_tenants(folder.path(), networks)?;
    let request = networks.request(Some("b"), &RESNET_50, "1")?;
    let network = Greedy {
        what: format!("{CONNECTIONS} connections with ResNet-50, one request after another"),
        start: &|| Endless::start(&server, &request),
    };
    measure_beside(options, &server, &network)
}

fn two_tenants(folder: &Path, networks: &Networks) -> Result<Server> {
    let of = |tenant: &str| folder.join("models").join(tenant);
    models::install(&of("a"), "house-price", &models::component()?, "")?;
    networks.install(&RESNET_50, &of("b"), "request")?;
    fs::write(folder.join("wardian.toml"), "[tenants.a]\n[tenants.b]\n")?;

    let server = Server::wardian_in(folder)?;
    wait_until_ready(&server)?;
    Ok(server)
}

/// Connections that ask until this is dropped.
struct Endless {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Endless {
    fn start(server: &Server, request: &[u8]) -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut client = Client::connect(server.address())?;
            let (is_over, request) = (Arc::clone(&is_over), request.to_owned());
            threads.push(std::thread::spawn(move || {
                // A connection that fails asks no more, which the other tenant would only like.
                while !is_over.load(Ordering::Relaxed) && client.send_measured(&request).is_ok() {}
            }));
        }
        Ok(Endless { is_over, threads })
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}
