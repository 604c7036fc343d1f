//! The time of a call from a guest to a kernel of the host.

use anyhow::Result;

use super::super::http_client::{self, Client};
use super::super::models;
use super::super::options::Options;
use super::super::process::Server;
use super::super::report::Aim;
use super::super::throughput::wait_until_ready;

/// Calls in a request.
const CALLS: u32 = 100_000;

/// Measures and prints the time of a product of one number with another.
pub(super) fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let repository = folder.path().join("models");
    let component = models::test_guest("kernel-calls")?;
    models::install_bare(&repository, "kernel-calls", &component, "isolation = \"pooled\"\n")?;
    let server = Server::wardian(&repository, &folder.path().join("state"))?;
    wait_until_ready(&server)?;

    let body = format!(
        r#"{{"inputs":[{{"name":"steps","datatype":"BYTES","shape":[1],"data":["many {CALLS}"]}}]}}"#
    );
    let request = http_client::infer(None, "kernel-calls", body.as_bytes());
    let mut client = Client::connect(server.address())?;
    let mut least = f64::INFINITY;
    for _ in 0..options.rounds() * 4 {
        least = least.min(client.send_timed(&request)?.microseconds(&["compute"])?);
    }

    println!();
    Aim::AtMost(200.0).print("a call of a kernel, in ns", least * 1e3 / f64::from(CALLS));
    Ok(())
}
