//! ONNX Runtime in its Python package, in a process that times its calls.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result};

use super::Times;
use super::files::Networks;

/// The process, which is killed on drop.
pub(super) struct Reference {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Reference {
    /// Starts the process.
    pub(super) fn start(networks: &Networks) -> Result<Self> {
        let mut command = networks.script("onnx_runtime.py")?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot start Python")?;

        let input = process.stdin.take().context("no input")?;
        let output = BufReader::new(process.stdout.take().context("no output")?);
        Ok(Reference { process, input, output })
    }

    /// Returns the times of calls for that many seconds.
    pub(super) fn time(
        &mut self,
        network: &str,
        case: &str,
        threads: usize,
        seconds: f64,
    ) -> Result<Times> {
        writeln!(self.input, "{network} {case} {threads} {seconds}")?;
        self.input.flush()?;

        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let mut times = line.split_whitespace().map(str::parse);
        let least = times.next().context("ONNX Runtime has failed")??;
        let median = times.next().context("ONNX Runtime has failed")??;
        Ok(Times { least, median })
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // It may have exited already, which the next line would have noticed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
