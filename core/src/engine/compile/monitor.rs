//! Monitoring a compile process: its reports, its running time, and its right to a slot.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::compile_slots::QueuedJob;
use super::cpu_time::{CpuTimeDelta, ProcessCpuTime};
use super::process_exit::ProcessExit;
use super::stopwatch::Stopwatch;
use super::{Job, Report, host_error, parse_level};
use crate::capability::{LogLine, LogSink};
use crate::model::{LoadError, RequestId, Stage};

/// The interval between two samples of a child's CPU time.
const TICK: Duration = Duration::from_millis(50);

/// A child that wanted a core for less than one in `BUSY_FRACTION` parts of the time is sleeping.
const BUSY_FRACTION: u32 = 5;

/// CPU time that a sleeping child may use, for example for timers, before it needs a slot again.
const SLEEPING_CPU_TIME: Duration = Duration::from_millis(50);

/// The longest line of a report, in bytes; the log lines of a guest are cut well below it.
const MAX_LINE: usize = 64 << 10;

/// Bytes kept of a child's standard error, to explain its end.
const MAX_STDERR: u64 = 16 << 10;

/// A running compile process. Dropping it kills the process.
pub(super) struct ProcessMonitor<'a> {
    child: Child,
    process: Pid,
    lines: BufReader<ChildStdout>,
    /// The incomplete next line.
    line: Vec<u8>,
    stderr: JoinHandle<String>,
    queued: QueuedJob,
    state: State,
    cpu_time: ProcessCpuTime,
    clock: Stopwatch,
    stage: Stage,
    job: &'a Job,
    progress: &'a (dyn Fn(Stage) + Send + Sync),
    log: &'a LogSink,
}

/// The state of the child with regard to its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It runs and holds a slot.
    Working,
    /// It sleeps without a slot, and has used this CPU time since.
    Sleeping(Duration),
    /// It is stopped until it receives a slot.
    Stopped,
}

/// The next event of a child.
enum Event {
    Line(io::Result<usize>),
    Tick,
    Slot,
}

impl<'a> ProcessMonitor<'a> {
    /// Monitors a child that was just started and holds a slot.
    pub(super) fn new(
        mut child: Child,
        queued: QueuedJob,
        job: &'a Job,
        progress: &'a (dyn Fn(Stage) + Send + Sync),
        log: &'a LogSink,
    ) -> io::Result<Self> {
        let missing = |what| io::Error::other(format!("it has no {what}"));
        let id = child.id().ok_or_else(|| missing("process id"))?;
        let process =
            i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(|| missing("process id"))?;
        let stdout = child.stdout.take().ok_or_else(|| missing("standard output"))?;
        let stderr = child.stderr.take().ok_or_else(|| missing("standard error"))?;

        Ok(ProcessMonitor {
            child,
            process,
            lines: BufReader::new(stdout),
            line: Vec::new(),
            stderr: tokio::spawn(read_stderr(stderr)),
            queued,
            state: State::Working,
            cpu_time: ProcessCpuTime::new(id),
            clock: Stopwatch::start(),
            stage: Stage::Read,
            job,
            progress,
            log,
        })
    }

    /// Monitors the child until it ends.
    pub(super) async fn run(mut self) -> Result<(), LoadError> {
        let mut ticks = interval_at(Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);

        loop {
            match self.next_event(&mut ticks).await {
                Event::Line(read) => {
                    if let Some(outcome) = self.handle_line(read).await {
                        return outcome;
                    }
                }
                Event::Tick => self.tick()?,
                Event::Slot => self.resume()?,
            }
        }
    }

    async fn next_event(&mut self, ticks: &mut Interval) -> Event {
        let stopped = self.state == State::Stopped;
        let room = MAX_LINE.saturating_sub(self.line.len()) as u64;

        // Whichever event comes first, the bytes read so far stay in `line`.
        let mut bounded = (&mut self.lines).take(room);
        tokio::select! {
            read = bounded.read_until(b'\n', &mut self.line) => Event::Line(read),
            _ = ticks.tick() => Event::Tick,
            () = self.queued.wait_for_slot(), if stopped => Event::Slot,
        }
    }

    /// Handles a line. Returns the outcome if it was the last.
    async fn handle_line(&mut self, read: io::Result<usize>) -> Option<Result<(), LoadError>> {
        let report = match read {
            Ok(_) if self.line.is_empty() => {
                // Until the child is reaped, the kernel keeps its statistics.
                self.charge();
                return Some(Err(self.died().await));
            }
            Ok(_) => {
                serde_json::from_slice(&std::mem::take(&mut self.line)).map_err(io::Error::from)
            }
            Err(error) => Err(error),
        };

        match report {
            Ok(report) => {
                let outcome = self.handle_report(report);
                if outcome.is_some() {
                    self.charge();
                }
                outcome
            }
            Err(error) => Some(Err(host_error(format!("lost the compile child: {error}")))),
        }
    }

    fn handle_report(&mut self, report: Report) -> Option<Result<(), LoadError>> {
        match report {
            Report::Stage(stage) => {
                self.stage = stage.into();
                self.clock.begin_stage(self.stage);
                (self.progress)(self.stage);
                None
            }
            Report::Log { level: name, context, message } => {
                (self.log)(LogLine {
                    level: parse_level(&name),
                    context,
                    message,
                    request_id: RequestId::none(),
                });
                None
            }
            Report::Done => Some(Ok(())),
            Report::Failed { stage, reason } => {
                Some(Err(self.explain(ProcessExit::Reported(LoadError::new(stage.into(), reason)))))
            }
            Report::Panicked { message } => Some(Err(self.explain(ProcessExit::Panicked(message)))),
        }
    }

    async fn died(&mut self) -> LoadError {
        match self.wait().await {
            Ok((status, stderr)) => self.explain(ProcessExit::Died { status, stderr }),
            Err(error) => host_error(format!("lost the compile child: {error}")),
        }
    }

    async fn wait(&mut self) -> io::Result<(ExitStatus, String)> {
        let status = self.child.wait().await?;
        Ok((status, (&mut self.stderr).await.unwrap_or_default()))
    }

    fn explain(&self, end: ProcessExit) -> LoadError {
        end.explain(self.stage, &self.job.limits)
    }

    /// Charges the child's CPU time, ends it if its time is up, and updates its slot.
    fn tick(&mut self) -> Result<(), LoadError> {
        let used = self.charge();
        self.check_time()?;

        match self.state {
            State::Working
                if used.passed >= TICK / 2 && used.demand < used.passed / BUSY_FRACTION =>
            {
                self.queued.release_slot();
                self.state = State::Sleeping(Duration::ZERO);
            }
            State::Working if self.queued.must_pause() => self.wait_for_slot()?,
            State::Sleeping(before) => {
                let now = before + used.cpu;
                self.state = State::Sleeping(now);
                if now > SLEEPING_CPU_TIME {
                    self.wait_for_slot()?;
                }
            }
            State::Working | State::Stopped => {}
        }

        Ok(())
    }

    /// Charges the CPU time used since the last sample.
    fn charge(&mut self) -> CpuTimeDelta {
        let used = self.cpu_time.sample();
        self.queued.charge(used.cpu);
        used
    }

    fn check_time(&self) -> Result<(), LoadError> {
        let wall_time = self.job.limits.wall_time;
        let load_deadline = Duration::from_millis(self.job.load.deadline_ms);

        if self.clock.in_stage_load().is_some_and(|time| time >= load_deadline) {
            return Err(LoadError::new(
                Stage::Load,
                format!("load took longer than {load_deadline:?}"),
            ));
        }

        if self.clock.total() >= wall_time {
            return Err(LoadError::new(
                self.stage,
                format!("took longer than {wall_time:?} (compile.wall_time)"),
            ));
        }

        Ok(())
    }

    /// Gives the slot back and stops the child until it receives another.
    fn wait_for_slot(&mut self) -> Result<(), LoadError> {
        self.state = State::Working;
        if !self.queued.pause() {
            self.signal(Signal::STOP)?;
            self.clock.stop();
            self.state = State::Stopped;
        }
        Ok(())
    }

    fn resume(&mut self) -> Result<(), LoadError> {
        self.signal(Signal::CONT)?;
        self.clock.resume();
        self.state = State::Working;
        // Discards the time in which it was stopped.
        self.cpu_time.sample();
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<(), LoadError> {
        // The child has not been reaped, so the process id is still its own.
        kill_process(self.process, signal)
            .map_err(|error| host_error(format!("cannot stop a compile child: {error}")))
    }
}

impl Drop for ProcessMonitor<'_> {
    fn drop(&mut self) {
        self.stderr.abort();
    }
}

async fn read_stderr(stderr: ChildStderr) -> String {
    let mut content = Vec::new();
    // The rest is left unread; the child may block on it until it is killed.
    let _ = stderr.take(MAX_STDERR).read_to_end(&mut content).await;
    String::from_utf8_lossy(&content).trim().to_owned()
}
