//! Measures a hundred models in one server: memory, and the time until all have answered.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::http_client::{self, Client};
use super::models::{self, Case};
use super::options::Options;
use super::process::Server;
use super::process_stats::{self, Memory};
use super::report::{Table, format_number};
use super::throughput::wait_until_ready;

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let count = options.models();
    let case = models::cases()?.into_iter().next().context("no golden case")?;
    let mut table = Table::new(&[
        "models",
        "artifact store",
        "all answered s",
        "CPU s",
        "RSS MB",
        "PSS MB",
        "anonymous MB",
        "PSS kB/model",
    ]);
    let empty = Series { label: "none".into(), count: 0, distinct: false }
        .start(&mut table, &case, None)?;

    for (kind, distinct) in [("copies", false), ("distinct", true)] {
        let series = Series { label: format!("{count} {kind}"), count, distinct };
        series.start(&mut table, &case, Some(empty))?;
    }
    table.print("house-price many times in one server");
    println!(
        "\n  Copies share an artifact; distinct ones are the same code under digests of their own."
    );
    println!("  CPU is the server's own, without its compile children's.");

    Ok(())
}

struct Series {
    label: String,
    count: usize,
    distinct: bool,
}

impl Series {
    /// Starts a server twice with the same state, first without artifacts. Returns its memory at
    /// the cold start.
    fn start(&self, table: &mut Table, case: &Case, empty: Option<Memory>) -> Result<Memory> {
        let folder = tempfile::tempdir()?;
        self.install(folder.path())?;
        let cold = self.measure(table, folder.path(), case, "cold", empty)?;
        if self.count > 0 {
            self.measure(table, folder.path(), case, "warm", empty)?;
        }
        Ok(cold)
    }

    fn install(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir(folder.join("models"))?;
        let component = models::component()?;
        (0..self.count).try_for_each(|index| {
            let label = if self.distinct { index as u64 } else { 0 };
            models::install(
                &folder.join("models"),
                &name(index),
                &models::relabelled(&component, label),
                "",
            )
        })
    }

    fn measure(
        &self,
        table: &mut Table,
        folder: &Path,
        case: &Case,
        store: &str,
        empty: Option<Memory>,
    ) -> Result<Memory> {
        let started = Instant::now();
        let server = Server::wardian(&folder.join("models"), &folder.join("state"))?;
        wait_until_ready(&server)?;
        self.send_to_all(&server, case)?;
        let elapsed = started.elapsed().as_secs_f64();
        let (memory, cpu) = (
            process_stats::memory(server.pid())?,
            process_stats::cpu_time(server.pid())?.as_secs_f64(),
        );
        let megabytes = |bytes: f64| format_number(bytes / 1e6);
        let each = empty.map_or(f64::NAN, |empty| {
            (memory.proportional - empty.proportional) / self.count as f64 / 1e3
        });
        let sizes = [memory.resident, memory.proportional, memory.anonymous].map(megabytes);
        let head = [self.label.clone(), store.into(), format_number(elapsed), format_number(cpu)];
        table.row(head.into_iter().chain(sizes).chain([format_number(each)]));

        Ok(memory)
    }

    fn send_to_all(&self, server: &Server, case: &Case) -> Result<()> {
        let mut client = Client::connect(server.address())?;
        (0..self.count).try_for_each(|index| {
            let body = client.send(&http_client::infer(None, &name(index), &case.request))?;
            let answered = body.is_some_and(|body| case.is_answered_by(&body));
            answered
                .then_some(())
                .with_context(|| format!("{} does not answer rightly", name(index)))
        })
    }
}

fn name(index: usize) -> String {
    format!("house-price-{index}")
}
