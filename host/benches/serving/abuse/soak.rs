//! Runs a server for long under mixed traffic, swaps, changing tenants and one attack after
//! another.
//!
//! After each attack the server has time to recover, and its memory, threads and descriptors are
//! recorded. They must not grow from one round of attacks to the next, and every request of the
//! victim must be answered.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::super::http_client;
use super::super::options::Options;
use super::super::process_stats;
use super::super::report::{Aim, Table, format_number, median};
use super::attacks::{ATTACKS, Attack};
use super::server::{AttackedServer, VICTIM};
use super::victim;

/// A configuration for every attack.
const SERVER: &str = "[http]\nmax_connections = 300";
const TENANT: &str = "quota = { concurrency = 300, memory = \"256MiB\", storage = \"200MB\", models = 20, instances = 64 }";

/// The duration of an attack in a round, and of the pause for recovery after it.
const ATTACK: Duration = Duration::from_secs(35);
const REST: Duration = Duration::from_secs(25);

/// The largest growth of memory, threads and descriptors from the first round to the last.
const TOLERANCE: f64 = 1.2;

/// Resources of the server at one moment.
struct Sample {
    round: usize,
    attack: &'static str,
    resident: f64,
    threads: f64,
    descriptors: f64,
    swap: f64,
}

/// Runs for the configured time and prints the server's resources.
pub(crate) fn run(options: &Options) -> Result<()> {
    let scene = AttackedServer::configured(SERVER, TENANT, true)?;
    let address = scene.server.address();
    let tenants = scene.tenants();
    let stop = &AtomicBool::new(false);
    let requests = [
        (victim::short_request()?, Duration::from_millis(10)),
        (
            http_client::infer(
                Some(VICTIM),
                "scripted",
                br#"{"inputs":[],"parameters":{"behave":"slow:5"}}"#,
            ),
            Duration::from_millis(50),
        ),
        (http_client::get_as(VICTIM, "/v2/models"), Duration::from_millis(500)),
        (http_client::get_as(VICTIM, "/v2/usage"), Duration::from_millis(500)),
        (http_client::get("/metrics"), Duration::from_millis(500)),
    ];

    thread::scope(|scope| {
        let traffic: Vec<_> = requests
            .iter()
            .map(|(request, pace)| {
                scope.spawn(move || victim::send_until(address, request, *pace, stop))
            })
            .collect();
        let changing = scope.spawn(move || change_tenants(&tenants, stop));

        let samples = rounds(&scene, options.soak());
        stop.store(true, Ordering::Relaxed);
        let failed: usize = traffic
            .into_iter()
            .filter_map(|one| one.join().ok())
            .map(|one| one.latencies().failed)
            .sum();
        drop(changing.join());
        report(&samples?, failed);
        Ok(())
    })
}

/// Runs attacks in turn until the time is over.
fn rounds(scene: &AttackedServer, time: Duration) -> Result<Vec<Sample>> {
    let started = Instant::now();
    let mut samples = Vec::new();
    for round in 1.. {
        for attack in ATTACKS.iter().filter(|attack| attack.reads_log) {
            samples.push(run_attack(scene, round, attack)?);
            if started.elapsed() >= time {
                return Ok(samples);
            }
        }
    }
    Ok(samples)
}

fn run_attack(scene: &AttackedServer, round: usize, attack: &'static Attack) -> Result<Sample> {
    let running = (attack.start)(scene)?;
    let swap = victim::swap_once(scene)?;
    thread::sleep(ATTACK);
    drop(running);

    scene.clear()?;
    thread::sleep(REST);
    let pid = scene.server.pid();
    let sample = Sample {
        round,
        attack: attack.name,
        resident: process_stats::memory(pid)?.resident,
        threads: process_stats::threads(pid)? as f64,
        descriptors: process_stats::descriptors(pid)? as f64,
        swap,
    };
    eprintln!(
        "round {round}, {}: {} MB resident",
        attack.name,
        format_number(sample.resident / 1e6)
    );
    Ok(sample)
}

/// Rewrites a tenant's file every second: valid, broken, and removed.
fn change_tenants(folder: &Path, stop: &AtomicBool) {
    let texts = [Some("weight = 2\n"), Some("weight = \n"), None];
    for text in texts.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // A file that cannot be written now is written the next time.
        let _ = write_tenant(folder, *text);
        thread::sleep(Duration::from_secs(1));
    }
}

/// Writes a tenant's file in one step, or removes it.
fn write_tenant(folder: &Path, text: Option<&str>) -> io::Result<()> {
    let file = folder.join("passing.toml");
    let staged = folder.join(".passing");
    match text {
        Some(text) => fs::write(&staged, text).and_then(|()| fs::rename(&staged, file)),
        None => fs::remove_file(file),
    }
}

fn report(samples: &[Sample], failed: usize) {
    let mut table = Table::new(&[
        "after",
        "round",
        "resident MB",
        "threads",
        "descriptors",
        "swap beside it ms",
    ]);
    for sample in samples {
        let Sample { round, attack, resident, threads, descriptors, swap } = sample;
        let figures = [resident / 1e6, *threads, *descriptors, *swap].map(format_number);
        table.row([(*attack).to_owned(), round.to_string()].into_iter().chain(figures));
    }
    table.print("what the server held after each attack");

    println!();
    Aim::AtMost(0.0).print("requests of the victim that failed", failed as f64);
    let last = samples.last().map_or(1, |sample| sample.round);
    let of = |round: usize, field: fn(&Sample) -> f64| {
        median(samples.iter().filter(|sample| sample.round == round).map(field))
    };
    let growth = |field| of(last, field) / of(1, field);
    Aim::AtMost(TOLERANCE)
        .print("resident memory, last round ÷ first", growth(|sample| sample.resident));
    Aim::AtMost(TOLERANCE).print("threads, last round ÷ first", growth(|sample| sample.threads));
    Aim::AtMost(TOLERANCE)
        .print("descriptors, last round ÷ first", growth(|sample| sample.descriptors));
}
