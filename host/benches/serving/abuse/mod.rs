//! Measures a tenant while another one attacks the server.
//!
//! Each attack runs on a server of its own with the tenants `attacker` and `victim`. The victim is
//! measured alone and then during the attack: short requests at a fixed rate, calls that compute
//! for 20 ms, and swaps of a model. After the attack, the server's memory is compared with that
//! before.

mod attacks;
mod connections;
mod files;
mod server;
mod soak;
mod victim;
mod work;

use std::time::{Duration, Instant};

use anyhow::Result;

use super::options::Options;
use super::process_stats;
use super::report::{Aim, Table, format_number};
use attacks::{ATTACKS, Attack};
use server::AttackedServer;
pub(crate) use soak::run as soak;
use victim::VictimResult;

/// The longest wait for resident memory to fall after an attack.
const RECOVERY: Duration = Duration::from_secs(20);

/// The part of the memory before an attack that may remain on top of it.
const TOLERANCE: f64 = 0.2;

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut rows = Vec::new();
    for attack in ATTACKS.iter().filter(|attack| options.includes(attack.name)) {
        eprintln!("{}: {}", attack.name, attack.summary);
        rows.push(measure(options, attack)?);
    }

    table(&rows).print("the victim beside each attack, and alone on the same server before it");
    println!(
        "\n  Latencies are in milliseconds. Memory is resident memory after the attack divided by before.\n"
    );
    rows.iter().for_each(Row::print_aims);
    Ok(())
}

/// The results of one attack.
struct Row {
    attack: &'static Attack,
    alone: VictimResult,
    beside: VictimResult,
    /// Resident memory after the attack divided by before.
    memory: f64,
}

fn measure(options: &Options, attack: &'static Attack) -> Result<Row> {
    let scene = AttackedServer::start(attack)?;
    let alone = victim::measure(&scene, options.window())?;
    let before = process_stats::memory(scene.server.pid())?.resident;

    let running = (attack.start)(&scene)?;
    let beside = victim::measure(&scene, options.window())?;
    drop(running);
    scene.clear()?;

    let memory = recovered(&scene, before)?;
    Ok(Row { attack, alone, beside, memory })
}

/// The least resident memory within the time for recovery, divided by `before`.
fn recovered(scene: &AttackedServer, before: f64) -> Result<f64> {
    let started = Instant::now();
    let mut least = f64::INFINITY;
    while least > 1.0 + TOLERANCE && started.elapsed() < RECOVERY {
        least = least.min(process_stats::memory(scene.server.pid())?.resident / before);
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(least)
}

fn table(rows: &[Row]) -> Table {
    let columns = [
        "attack",
        "short p50",
        "÷ alone",
        "p99",
        "÷ alone",
        "20 ms p50",
        "÷ alone",
        "p99",
        "÷ alone",
        "swap ms",
        "÷ alone",
        "failed",
        "memory ÷",
    ];
    let mut table = Table::new(&columns);

    for Row { attack, alone, beside, memory } in rows {
        let pairs = [
            (beside.short.p50, alone.short.p50),
            (beside.short.p99, alone.short.p99),
            (beside.long.p50, alone.long.p50),
            (beside.long.p99, alone.long.p99),
            (beside.swap, alone.swap),
        ];
        let figures = pairs
            .into_iter()
            .flat_map(|(beside, alone)| [format_number(beside), format_number(beside / alone)]);
        let cells = [attack.name.to_owned()].into_iter().chain(figures);
        table.row(cells.chain([beside.failed().to_string(), format_number(*memory)]));
    }
    table
}

impl Row {
    fn print_aims(&self) {
        let Row { attack, alone, beside, memory } = self;
        let named = |what: &str| format!("{}: {what}", attack.name);
        Aim::AtMost(3.0)
            .print(&named("p99 of short requests ÷ alone"), beside.short.p99 / alone.short.p99);
        Aim::AtMost(3.0)
            .print(&named("p99 of 20 ms calls ÷ alone"), beside.long.p99 / alone.long.p99);
        Aim::AtMost(2.0)
            .print(&named("swap less 1 s ÷ alone"), (beside.swap - 1e3).max(0.0) / alone.swap);
        Aim::AtMost(0.0).print(&named("failed requests"), beside.failed() as f64);
        Aim::AtMost(1.0 + TOLERANCE).print(&named("memory after ÷ before"), *memory);
    }
}
