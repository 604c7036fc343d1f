//! Measures the time from a dropped file to the first response of the new version.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::http_client::{self, Client};
use super::models;
use super::options::Options;
use super::process::{Line, Server};
use super::report::{Table, format_number, median};
use super::throughput::wait_until_ready;

/// The interval between two requests for the version that serves.
const POLL: Duration = Duration::from_millis(1);

/// The longest wait for a swap.
const SWAP_TIMEOUT: Duration = Duration::from_secs(120);

/// The steps of one swap, in milliseconds.
struct Swap {
    /// Until the file is stable: noticed, unchanged for the settle time, read.
    noticed: f64,
    /// Until the version is ready: compiled or found, linked, warmed up.
    loaded: f64,
    /// Until the first response.
    whole: f64,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut swaps = Swapper::start(folder.path())?;
    let labels = 1..=options.rounds() as u64 + 1;
    let cold: Vec<_> = labels.clone().map(|label| swaps.swap(label)).collect::<Result<_>>()?;
    // The same files again, with their artifacts in the store.
    let warm: Vec<_> = labels.map(|label| swaps.swap(label)).collect::<Result<_>>()?;
    let mut table =
        Table::new(&["artifact store", "ms", "of it: settled and read", "loaded", "answered"]);

    for (name, swaps) in [("cold", cold), ("warm", warm)] {
        let of = |field: fn(&Swap) -> f64| format_number(median(swaps.iter().map(field)));
        let steps = [
            of(|s| s.whole),
            of(|s| s.noticed),
            of(|s| s.loaded),
            of(|s| s.whole - s.noticed - s.loaded),
        ];
        table.row([name.to_string()].into_iter().chain(steps));
    }
    table.print(
        "from renaming house-price.wasm into the repository to the first answer of the new version",
    );
    println!("\n  A file counts once it has been unchanged for 100 ms, which is a setting.");

    Ok(())
}

struct Swapper<'a> {
    folder: &'a Path,
    component: Vec<u8>,
    server: Server,
    client: Client,
    request: Vec<u8>,
}

impl<'a> Swapper<'a> {
    fn start(folder: &'a Path) -> Result<Self> {
        let component = models::component()?;
        fs::create_dir(folder.join("models"))?;
        fs::write(folder.join("models/house-price.wasm"), &component)?;
        let server = Server::wardian(&folder.join("models"), &folder.join("state"))?;
        wait_until_ready(&server)?;
        let client = Client::connect(server.address())?;
        let case = models::cases()?.into_iter().next().context("no golden case")?;
        let request = http_client::infer(None, "house-price", &case.request);
        Ok(Swapper { folder, component, server, client, request })
    }

    /// Replaces the component with itself under another label.
    fn swap(&mut self, label: u64) -> Result<Swap> {
        let staged = self.folder.join("staged.wasm");
        fs::write(&staged, models::relabelled(&self.component, label))?;
        let before = self.version()?;
        self.server.log().for_each(drop);
        let started = Instant::now();
        fs::rename(&staged, self.folder.join("models/house-price.wasm"))?;

        while self.version()? == before {
            ensure!(started.elapsed() < SWAP_TIMEOUT, "the new version does not answer");
            std::thread::sleep(POLL);
        }
        let whole = started.elapsed();

        Ok(self.steps(started, whole))
    }

    /// Returns the version that serves.
    fn version(&mut self) -> Result<String> {
        let body = self
            .client
            .send(&self.request)?
            .context("the model stopped answering during a swap")?;
        let answer: Value = serde_json::from_slice(&body)?;
        answer["model_version"].as_str().map(str::to_owned).context("an answer names no version")
    }

    /// The steps according to the server's log.
    fn steps(&self, started: Instant, whole: Duration) -> Swap {
        // The log thread may be a moment behind.
        std::thread::sleep(Duration::from_millis(20));
        let lines: Vec<_> = self.server.log().collect();
        let when = |word: &str| {
            let line = lines
                .iter()
                .find(|line: &&Line| line.text.split_whitespace().any(|part| part == word));
            line.map_or(f64::NAN, |line| milliseconds(line.at - started))
        };
        let noticed = when("loading");
        Swap { noticed, loaded: when("ready") - noticed, whole: milliseconds(whole) }
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
