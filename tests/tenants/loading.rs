//! Loads of one tenant beside those of another.

use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{EAGER, setup, tenant, write};
use crate::harness::{Models, Server, Setup, scripted, until};

/// The longest time that another tenant's new version may take beside slow loads. Alone it takes a
/// second or two.
const SOON: Duration = Duration::from_secs(30);

/// A server, not yet started, with tenants `a` and `b`. `b` has a version that serves, and gets
/// another soon.
pub(super) fn pair(settings: &str) -> Setup {
    let setup = setup(&format!("{EAGER}{settings}"));
    for name in ["a", "b"] {
        write(&setup.repository("tenants"), name, &tenant(name, name, ""));
    }
    setup.repository("b").version("good", 1, scripted("version=1"));
    setup
}

/// Waits until a model of tenant `a` is loading.
fn until_loading(server: &Server, model: &str) {
    server.holder("a").until_state(model, 1, "LOADING");
}

/// Writes a new version of `b`'s model, and asserts that it serves soon.
fn swap_soon(server: &Server, models: &Models, version: u64) {
    let begun = Instant::now();
    models.version("good", version, scripted(&format!("version={version}")));
    server.holder("b").until_ready("good", version);
    assert!(begun.elapsed() < SOON, "version {version} took {:?}", begun.elapsed());
}

#[test]
fn spinning_loads_take_no_more_than_their_share() {
    let setup = pair("");
    let (a, b) = (setup.repository("a"), setup.repository("b"));
    let server = setup.start();
    server.holder("b").until_ready("good", 1);
    (0..4).for_each(|number| {
        a.version(&format!("spins-{number}"), 1, scripted(&format!("version={number};load=spin")))
    });
    until_loading(&server, "spins-3");
    (2..4).for_each(|version| swap_soon(&server, &b, version));
}

#[test]
fn sleeping_loads_delay_no_other_tenant() {
    let setup = pair("compile.load_deadline = '3s'\n");
    let (a, b) = (setup.repository("a"), setup.repository("b"));
    let server = setup.start();
    server.holder("b").until_ready("good", 1);
    for round in 0..2_u64 {
        for number in 0..6 {
            let script = format!("version={};load=sleep:600000", round * 6 + number);
            a.version(&format!("sleeps-{number}"), 1, scripted(&script));
        }
        until_loading(&server, "sleeps-0");
        swap_soon(&server, &b, round + 2);
    }
    // Each load has its full time limit, however long it waited for its turn.
    server.holder("a").until_refused("sleeps-5", 1, "load: load took longer than 3s");
}

#[test]
fn a_fifo_sidecar_does_not_block() {
    let setup = pair("");
    let (a, b) = (setup.repository("a"), setup.repository("b"));
    let server = setup.start();
    server.holder("b").until_ready("good", 1);
    // These keep the next one in the queue while its files are swapped.
    (0..4).for_each(|number| {
        a.version(&format!("a{number}"), 1, scripted(&format!("version={number};load=sleep:4000")))
    });
    for name in ["weights.bin", "golden.json"] {
        let model = format!("z-{name}");
        a.put(&format!("{model}/1/{name}"), b"{}");
        a.version(&model, 1, scripted("version=77"));
        until_loading(&server, &model);
        let (beside, place) =
            (a.path(&format!("{model}/1/.beside")), a.path(&format!("{model}/1/{name}")));
        mknodat(CWD, &beside, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::fs::rename(beside, place).unwrap();
    }
    swap_soon(&server, &b, 2);
    for name in ["weights.bin", "golden.json"] {
        let ended = || {
            server
                .holder("a")
                .entry(&format!("z-{name}"), 1)
                .is_none_or(|entry| entry.state != "LOADING")
        };
        until(&format!("the end of the load whose {name} is a FIFO now"), ended);
    }
}
