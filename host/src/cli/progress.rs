//! Progress of long work: a spinner on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output;

/// Shows the present step on standard error.
pub(super) enum Progress {
    /// On a terminal.
    Spinner(ProgressBar),
    /// Elsewhere: one line a step, with the time since the start.
    Lines(Instant),
    /// Nothing is shown.
    Quiet,
}

impl Progress {
    /// Starts without a step.
    pub(super) fn start(quiet: bool) -> Self {
        match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Progress::Quiet,
            (false, true) => Progress::Spinner(spinner()),
            (false, false) => Progress::Lines(Instant::now()),
        }
    }

    /// Shows the next step.
    pub(super) fn step(&self, what: &str) {
        match self {
            Progress::Spinner(bar) => bar.set_message(what.to_owned()),
            Progress::Lines(started) => {
                let seconds = started.elapsed().as_secs_f64();
                output::print_stderr(&format!("{seconds:>7.2} s  {what}"));
            }
            Progress::Quiet => {}
        }
    }

    /// Removes the spinner.
    pub(super) fn finish(&self) {
        if let Progress::Spinner(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
