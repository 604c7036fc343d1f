//! The libraries of Python, in a process that times their predictions.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result};

use super::super::options::Options;
use super::saved::SavedModels;

/// The process, which is killed on drop.
pub(super) struct Library {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Library {
    /// Starts the process.
    pub(super) fn start(models: &SavedModels) -> Result<Self> {
        let mut command = models.library_script("library.py")?;
        command.arg(models.folder()).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.env("OMP_NUM_THREADS", "1");
        let mut process = command.spawn().context("cannot start Python")?;

        let input = process.stdin.take().context("no input")?;
        let output = BufReader::new(process.stdout.take().context("no output")?);
        Ok(Library { process, input, output })
    }

    /// Returns the shortest time of a library's prediction in one round, in microseconds. Not a
    /// number if it cannot serve the model.
    pub(super) fn time(
        &mut self,
        library: &str,
        model: &str,
        rows: usize,
        options: &Options,
    ) -> Result<f64> {
        let seconds = options.window().as_secs_f64() / 4.0;
        writeln!(self.input, "{library} {model} {rows} {seconds}")?;
        self.input.flush()?;

        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim().parse().context("the libraries have failed")
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // It may have exited already, which the next line would have noticed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
