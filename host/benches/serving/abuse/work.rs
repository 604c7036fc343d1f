//! Attacks by host work and guest work: decoding, statements, compilation, endless calls, many
//! instances.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::super::http_client::{self, Client};
use super::super::models;
use super::attacks::RunningAttack;
use super::connections::{compressed, send_once};
use super::server::{ATTACKER, AttackedServer};

/// The time until an attack has an effect.
const START: Duration = Duration::from_millis(500);

/// Bodies of some kilobytes that decompress to 16 MiB of JSON with an error in its last byte.
pub(super) fn gzip(scene: &AttackedServer) -> Result<RunningAttack> {
    let numbers = "1.5,".repeat(4 << 20);
    let body = format!(
        r#"{{"inputs":[{{"name":"x","datatype":"FP64","shape":[{}],"data":[{numbers}1.5]}}]]"#,
        (4 << 20) + 1
    );
    let request = compressed(&body)?;
    let address = scene.server.address();
    ensure!(Client::connect(address)?.send(&request)?.is_none(), "the server takes the wrong JSON");
    Ok(RunningAttack::default().repeat(24, move |_| send_once(address, &request)).wait(START))
}

/// Statements in which one function searches a large text for another.
pub(super) fn statements(scene: &AttackedServer) -> Result<RunningAttack> {
    let searching =
        "select instr(printf('%.*c', 1000000, 'a'), printf('%.*c', 480000, 'a') || 'b')";
    let step = format!("query\u{1f}{searching}");
    let body = json!({ "inputs": [{ "name": "steps", "datatype": "BYTES", "shape": [1], "data": [step] }] });
    let request = http_client::infer(Some(ATTACKER), "sql-steps", body.to_string().as_bytes());
    let address = scene.server.address();
    Ok(RunningAttack::default().repeat(6, move |_| send_once(address, &request)).wait(START))
}

/// Versions without an artifact, one after another.
pub(super) fn compiling(scene: &AttackedServer) -> Result<RunningAttack> {
    let address = scene.server.address();
    let component = models::test_guest("sql-steps")?;
    let labels = Arc::new(AtomicU64::new(1));
    let upload = move |thread: usize| {
        let label = labels.fetch_add(1, Ordering::Relaxed);
        let component = models::relabelled(&component, label);
        let name = format!("bomb{thread}");
        send_once(address, &http_client::upload(ATTACKER, &name, label as u32, &component));
    };
    Ok(RunningAttack::default().repeat(4, upload).wait(START))
}

/// Calls that never end.
pub(super) fn spinning(scene: &AttackedServer) -> Result<RunningAttack> {
    hold(scene, "scripted", "spin", 64)
}

/// Sleeping calls, each in an instance that takes as much of the engine's pools as several ordinary
/// ones.
pub(super) fn instances(scene: &AttackedServer) -> Result<RunningAttack> {
    let component = models::with_core_instances(&models::test_guest("scripted")?, 6)?;
    let settings = "limits = { deadline = \"1h\" }\ninstances.max = 250";
    models::install_bare(&scene.repository(ATTACKER), "large", &component, settings)?;
    scene.wait_for("large")?;
    hold(scene, "large", "sleep:600000", 250)
}

fn hold(
    scene: &AttackedServer,
    model: &str,
    behaviour: &str,
    calls: usize,
) -> Result<RunningAttack> {
    let body = json!({ "inputs": [], "parameters": { "behave": behaviour } }).to_string();
    let request = http_client::infer(Some(ATTACKER), model, body.as_bytes());
    let ask = |_| {
        let mut stream = TcpStream::connect(scene.server.address())?;
        stream.write_all(&request).map(|()| stream)
    };
    let connections: std::io::Result<Vec<_>> = (0..calls).map(ask).collect();
    Ok(RunningAttack::holding(connections?).wait(START))
}
