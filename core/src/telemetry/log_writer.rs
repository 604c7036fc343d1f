//! Writes log lines on a thread of its own, so that no other thread waits for standard error or
//! fails with it.
//!
//! Lines wait in a bounded queue. A line that finds the queue full, or that cannot be written, is
//! dropped and counted in `wardian_log_lines_dropped_total`.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tracing_subscriber::fmt::MakeWriter;

/// Lines in the queue at most.
const MAX_QUEUED_LINES: usize = 8192;

/// Bytes of all lines in the queue at most.
const MAX_QUEUED_BYTES: usize = 4 << 20;

/// The longest wait for the last lines when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Lines that this process dropped. The log belongs to the process, and so does its count.
static DROPPED: LazyLock<Counter> = LazyLock::new(Counter::default);

/// Registers the metric of dropped lines.
pub fn register(registry: &mut Registry) {
    let help = "Log lines that were dropped because standard error did not take them";
    registry.register("log_lines_dropped", help, DROPPED.clone());
}

/// Accepts log lines without blocking or failing. A clone shares the queue.
#[derive(Clone)]
pub struct LogWriter {
    messages: SyncSender<Message>,
    waiting: Arc<AtomicUsize>,
}

enum Message {
    Line(Vec<u8>),
    /// Requests a notification once all lines before it are written.
    Flush(SyncSender<()>),
}

impl LogWriter {
    /// Starts the thread that writes to `out`. Fails if the thread cannot be started.
    pub(crate) fn start(out: impl Write + Send + 'static) -> io::Result<LogWriter> {
        let (messages, inbox) = sync_channel(MAX_QUEUED_LINES);
        let waiting = Arc::new(AtomicUsize::new(0));
        let of_thread = waiting.clone();

        thread::Builder::new()
            .name("log".into())
            .spawn(move || write_lines(&inbox, &of_thread, out))?;
        Ok(LogWriter { messages, waiting })
    }

    /// Waits until the lines logged so far are written, for a second at most.
    pub(crate) fn flush(&self) {
        let (done, wait) = sync_channel(1);

        // A full queue means that standard error stalls, so there is no point in waiting.
        if self.messages.try_send(Message::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(FLUSH_TIMEOUT);
        }
    }

    fn push(&self, line: &[u8]) {
        let before = self.waiting.fetch_add(line.len(), Ordering::Relaxed);
        let sent = before + line.len() <= MAX_QUEUED_BYTES
            && match self.messages.try_send(Message::Line(line.to_vec())) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            };

        if !sent {
            self.waiting.fetch_sub(line.len(), Ordering::Relaxed);
            DROPPED.inc();
        }
    }
}

impl Write for LogWriter {
    /// Accepts a whole line: the subscriber writes each with one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LogWriter;

    fn make_writer(&'a self) -> LogWriter {
        self.clone()
    }
}

/// Writes messages until the last sender is dropped. A line that fails is counted, and the next one
/// is tried.
fn write_lines(inbox: &Receiver<Message>, waiting: &AtomicUsize, mut out: impl Write) {
    let mut torn = false;
    while let Ok(message) = inbox.recv() {
        match message {
            Message::Line(line) => {
                waiting.fetch_sub(line.len(), Ordering::Relaxed);
                torn = write_line(&mut out, &line, torn).is_err();
                if torn {
                    DROPPED.inc();
                }
            }
            Message::Flush(done) => drop(done.try_send(())),
        }
    }
}

/// Writes a line. It begins with a line break if the line before it may have been written in part.
fn write_line(out: &mut impl Write, line: &[u8], torn: bool) -> io::Result<()> {
    if torn {
        out.write_all(b"\n")?;
    }
    out.write_all(line)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    /// Standard error whose reader reads only when the test allows it.
    struct Stalled {
        read: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The reader is gone once the test has dropped its end.
            self.read.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn stalled() -> (LogWriter, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let ((reader, read), written) = (mpsc::channel(), Arc::<Mutex<Vec<u8>>>::default());
        let log = LogWriter::start(Stalled { read, written: written.clone() }).unwrap();
        (log, reader, written)
    }

    #[test]
    fn lines_are_written_in_order() {
        let (log, reader, written) = stalled();
        for line in ["a\n", "b\n", "c\n"] {
            log.clone().write_all(line.as_bytes()).unwrap();
            reader.send(()).unwrap();
        }
        log.flush();
        assert_eq!(*written.lock().unwrap(), b"a\nb\nc\n");
    }

    #[test]
    fn a_reader_that_stalls_or_goes_away_costs_lines_and_nothing_else() {
        let (log, reader, written) = stalled();
        let before = DROPPED.get();
        for _ in 0..MAX_QUEUED_LINES + 100 {
            log.clone().write_all(b"line\n").unwrap();
        }
        // One line may be with the thread already.
        assert!(DROPPED.get() - before >= 99, "{}", DROPPED.get() - before);

        drop(reader);
        while DROPPED.get() - before < MAX_QUEUED_LINES as u64 + 100 {
            thread::yield_now();
        }
        assert!(written.lock().unwrap().is_empty());
    }

    #[test]
    fn the_bytes_that_wait_are_bounded() {
        let (log, reader, _) = stalled();
        let before = DROPPED.get();
        for _ in 0..5 {
            log.clone().write_all(&vec![b'x'; MAX_QUEUED_BYTES / 2]).unwrap();
        }
        assert!(DROPPED.get() - before >= 2, "{}", DROPPED.get() - before);
        drop(reader);
    }

    #[test]
    fn a_line_after_a_torn_one_begins_on_a_line_of_its_own() {
        let mut out = Vec::new();
        write_line(&mut out, b"whole\n", false).unwrap();
        write_line(&mut out, b"next\n", true).unwrap();
        assert_eq!(out, b"whole\n\nnext\n");
    }
}
