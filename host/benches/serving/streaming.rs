//! Measures streamed responses: the time to the first part, and the cost of each of many.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::http_client::{Client, stream};
use super::models;
use super::options::Options;
use super::process::Server;
use super::process_stats;
use super::report::{Aim, Table, format_number, median};
use super::throughput::wait_until_ready;

/// Parts of a long response: a text of about a thousand words.
const PARTS: usize = 1000;

/// A server and its name in the tables.
struct Contender {
    name: &'static str,
    model: &'static str,
    server: Server,
}

/// The results of one contender in one round, in microseconds.
struct Measured {
    /// The median time to the first part, for responses of one part.
    first: f64,
    /// The median time to the end, for responses of one part.
    single: f64,
    /// The time per part in a long response.
    part: f64,
    /// The server's CPU time per part in a long response.
    cpu: f64,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let contenders = [
        Contender { name: "native", model: "streamer", server: Server::native()? },
        Contender { name: "native, on a thread", model: "threaded", server: Server::native()? },
        wardian("pooled", folder.path(), "pooled")?,
        wardian("fresh", folder.path(), "request")?,
    ];
    let mut rounds: Vec<Vec<Measured>> = contenders.iter().map(|_| Vec::new()).collect();

    for _ in 0..options.rounds() {
        for (contender, rounds) in contenders.iter().zip(&mut rounds) {
            rounds.push(contender.measure(options.window())?);
        }
    }
    table(&contenders, &rounds)
        .print(&format!("streamer, one connection: an answer of one part, then of {PARTS}"));
    println!();
    aims(&rounds);

    Ok(())
}

/// Starts Wardian with the model `streamer` and waits until it is ready.
fn wardian(name: &'static str, folder: &Path, isolation: &str) -> Result<Contender> {
    let repository = folder.join(isolation);
    let state = folder.join("state").join(isolation);
    let version = repository.join("streamer/1");
    std::fs::create_dir_all(&version)?;
    std::fs::write(
        repository.join("streamer/model.toml"),
        format!("isolation = \"{isolation}\"\n"),
    )?;
    std::fs::write(version.join("model.wasm"), models::test_guest("streamer")?)?;
    let server = Server::wardian(&repository, &state)?;
    wait_until_ready(&server)?;
    Ok(Contender { name, model: "streamer", server })
}

impl Contender {
    fn measure(&self, window: Duration) -> Result<Measured> {
        let mut client = Client::connect(self.server.address())?;
        let (first, single) = self.measure_first(&mut client, window / 2)?;
        let (part, cpu) = self.measure_parts(&mut client, window / 2)?;
        Ok(Measured { first, single, part, cpu })
    }

    fn measure_first(&self, client: &mut Client, window: Duration) -> Result<(f64, f64)> {
        let mut first = Vec::new();
        let mut single = Vec::new();
        let request = self.ask_for(1);
        let started = Instant::now();
        while started.elapsed() < window {
            let (begun, ended, parts) = client.send_streaming(&request)?;
            ensure!(parts == 1, "an answer had {parts} parts, not one");
            first.push(micros(begun));
            single.push(micros(ended));
        }
        Ok((median(first), median(single)))
    }

    fn measure_parts(&self, client: &mut Client, window: Duration) -> Result<(f64, f64)> {
        let pid = self.server.pid();
        let request = self.ask_for(PARTS);
        let started = Instant::now();
        let before = process_stats::cpu_time(pid)?;
        let mut answers = Vec::new();
        while started.elapsed() < window {
            let (_, ended, parts) = client.send_streaming(&request)?;
            ensure!(parts == PARTS, "an answer had {parts} parts, not {PARTS}");
            answers.push(micros(ended) / PARTS as f64);
        }
        let cpu = micros(process_stats::cpu_time(pid)? - before) / (answers.len() * PARTS) as f64;
        Ok((median(answers), cpu))
    }

    fn ask_for(&self, parts: usize) -> Vec<u8> {
        stream(self.model, &format!("{{\"text_input\":\"part \",\"parts\":{parts}}}"))
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn table(contenders: &[Contender], rounds: &[Vec<Measured>]) -> Table {
    let columns = ["server", "first part µs", "whole µs", "µs/part", "CPU µs/part"];
    let mut table =
        Table::new(&[&columns[..], &["first ÷ native", "whole ÷", "part ÷", "CPU ÷"]].concat());
    let fields: [fn(&Measured) -> f64; 4] = [|m| m.first, |m| m.single, |m| m.part, |m| m.cpu];
    for (contender, measured) in contenders.iter().zip(rounds) {
        let absolute = fields.map(|field| format_number(median(measured.iter().map(field))));
        let relative = fields.map(|field| format_number(ratio(measured, &rounds[0], field)));
        table.row([contender.name.to_string()].into_iter().chain(absolute).chain(relative));
    }
    table
}

fn ratio(rounds: &[Measured], native: &[Measured], field: fn(&Measured) -> f64) -> f64 {
    median(rounds.iter().zip(native).map(|(one, native)| field(one) / field(native)))
}

fn aims(rounds: &[Vec<Measured>]) {
    let [native, threaded, pooled, fresh] = rounds else { return };
    for (name, rounds, first) in [("pooled", pooled, 1.5), ("fresh", fresh, 2.0)] {
        Aim::AtMost(first).print(
            &format!("{name}/native time to the first part"),
            ratio(rounds, native, |m| m.first),
        );
        // The native server makes its parts while it writes, and sends them together; a guest's
        // arrive one by one.
        Aim::AtMost(3.0)
            .print(&format!("{name}/native CPU per part"), ratio(rounds, native, |m| m.cpu));
        println!(
            "  {name}/native on a thread, CPU per part: {:.2}",
            ratio(rounds, threaded, |m| m.cpu)
        );
    }
}
