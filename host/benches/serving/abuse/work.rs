//! Attacks by work that the host or a guest does: decoding, statements, compiling, endless calls,
//! many instances.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::super::models;
use super::super::wire::{self, Client};
use super::attacks::Running;
use super::connections::{ask_once, compressed};
use super::scene::{ATTACKER, Scene};

/// The time until an attack has begun to work.
const START: Duration = Duration::from_millis(500);

/// Bodies of some kilobytes that become 16 MiB of JSON which is wrong in its last byte.
pub(super) fn gzip(scene: &Scene) -> Result<Running> {
    let numbers = "1.5,".repeat(4 << 20);
    let body = format!(
        r#"{{"inputs":[{{"name":"x","datatype":"FP64","shape":[{}],"data":[{numbers}1.5]}}]]"#,
        (4 << 20) + 1
    );
    let (request, address) = (compressed(&body)?, scene.server.address());
    ensure!(Client::connect(address)?.ask(&request)?.is_none(), "the server takes the wrong JSON");
    Ok(Running::default().repeat(24, move |_| ask_once(address, &request)).after(START))
}

/// Statements in which one function searches a large text for another.
pub(super) fn statements(scene: &Scene) -> Result<Running> {
    let searching =
        "select instr(printf('%.*c', 1000000, 'a'), printf('%.*c', 480000, 'a') || 'b')";
    let step = format!("query\u{1f}{searching}");
    let body = json!({ "inputs": [{ "name": "steps", "datatype": "BYTES", "shape": [1], "data": [step] }] });
    let request = wire::infer(Some(ATTACKER), "ledger", body.to_string().as_bytes());
    let address = scene.server.address();
    Ok(Running::default().repeat(6, move |_| ask_once(address, &request)).after(START))
}

/// Versions that nobody has compiled yet, one after the other.
pub(super) fn compiling(scene: &Scene) -> Result<Running> {
    let address = scene.server.address();
    let component = models::test_guest("ledger")?;
    let labels = Arc::new(AtomicU64::new(1));
    let upload = move |thread: usize| {
        let label = labels.fetch_add(1, Ordering::Relaxed);
        let component = models::relabelled(&component, label);
        let name = format!("bomb{thread}");
        ask_once(address, &wire::upload(ATTACKER, &name, label as u32, &component));
    };
    Ok(Running::default().repeat(4, upload).after(START))
}

/// Calls that never end.
pub(super) fn spinning(scene: &Scene) -> Result<Running> {
    hold(scene, "puppet", "spin", 64)
}

/// Sleeping calls, each in an instance that takes as much of the engine's pools as several usual
/// ones.
pub(super) fn instances(scene: &Scene) -> Result<Running> {
    let component = models::with_core_instances(&models::test_guest("puppet")?, 6)?;
    let settings = "limits = { deadline = \"1h\" }\ninstances.max = 250";
    models::install_bare(&scene.repository(ATTACKER), "large", &component, settings)?;
    scene.wait_for("large")?;
    hold(scene, "large", "sleep:600000", 250)
}

fn hold(scene: &Scene, model: &str, behaviour: &str, calls: usize) -> Result<Running> {
    let body = json!({ "inputs": [], "parameters": { "behave": behaviour } }).to_string();
    let request = wire::infer(Some(ATTACKER), model, body.as_bytes());
    let ask = |_| {
        let mut stream = TcpStream::connect(scene.server.address())?;
        stream.write_all(&request).map(|()| stream)
    };
    let connections: std::io::Result<Vec<_>> = (0..calls).map(ask).collect();
    Ok(Running::holding(connections?).after(START))
}
