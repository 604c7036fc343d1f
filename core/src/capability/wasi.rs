//! The part of WASI that a program's standard library needs, without access to the system.
//!
//! There are no arguments, environment variables, directories or sockets. Clocks have a resolution
//! of one millisecond. Standard output and error become log lines.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, filesystem, random};
use wasmtime_wasi::p2::{IoError, OutputStream, Pollable, StreamResult};
use wasmtime_wasi::random::{WasiRandom, WasiRandomCtx};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::logging::{CallLog, Level, sanitize_line, write_line};
use super::{Ctx, CtxView, Grants, HostCapability};
use crate::mutex::lock;

/// The most bytes that a guest may read from the random source at once.
const MAX_RANDOM: u64 = 64 << 10;

/// The most host resources (streams, pollables) of an instance.
pub(super) const MAX_RESOURCES: usize = 1000;

/// Bytes kept of standard error to explain a trap.
const STDERR_TAIL: usize = 2048;

/// The WASI state of an instance, created at first use.
pub(super) struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
    stderr: LogStream,
}

impl Wasi {
    pub(super) fn new(grants: &Grants, call_log: &Arc<CallLog>) -> Self {
        let output =
            |level, context| LogStream::new(grants.clone(), call_log.clone(), level, context);
        let stderr = output(Level::Warn, "stderr");
        let ctx = WasiCtx::builder()
            .stdout(output(Level::Info, "stdout"))
            .stderr(stderr.clone())
            .wall_clock(CoarseWallClock)
            .monotonic_clock(CoarseMonotonicClock(Instant::now()))
            .max_random_size(MAX_RANDOM)
            .build();

        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);

        Wasi { ctx, table, stderr }
    }

    /// The table of the guest's resources.
    pub(super) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    pub(super) fn stderr_tail(&self) -> String {
        self.stderr.lock().recent.trim_end().to_owned()
    }
}

impl Ctx {
    /// The instance's WASI state, for the store's `WasiView`.
    pub fn wasi(&mut self) -> WasiCtxView<'_> {
        self.used_wasi = true;
        let Ctx { wasi, grants, call_log, http, .. } = self;
        let wasi = wasi.get_or_insert_with(|| Box::new(Wasi::new(grants, call_log)));

        if let Some(http) = http {
            http.charge_handles(&mut wasi.table);
        }

        WasiCtxView { ctx: &mut wasi.ctx, table: &mut wasi.table }
    }

    /// The instance's random numbers, whose interfaces have no resources. Hash tables of the
    /// guest's standard library use them.
    fn random(&mut self) -> &mut WasiRandomCtx {
        let Ctx { wasi, grants, call_log, .. } = self;
        wasi.get_or_insert_with(|| Box::new(Wasi::new(grants, call_log))).ctx.random()
    }
}

// Only what a program's standard library needs to start. Sockets are not linked at all, and the
// filesystem has no directories.
impl HostCapability for Wasi {
    const IMPORTS: &'static [&'static str] = &[
        "wasi:cli/environment",
        "wasi:cli/exit",
        "wasi:cli/stderr",
        "wasi:cli/stdin",
        "wasi:cli/stdout",
        "wasi:cli/terminal-input",
        "wasi:cli/terminal-output",
        "wasi:cli/terminal-stderr",
        "wasi:cli/terminal-stdin",
        "wasi:cli/terminal-stdout",
        "wasi:clocks/monotonic-clock",
        "wasi:clocks/wall-clock",
        "wasi:filesystem/preopens",
        "wasi:filesystem/types",
        "wasi:io/error",
        "wasi:io/poll",
        "wasi:io/streams",
        "wasi:random/insecure",
        "wasi:random/insecure-seed",
        "wasi:random/random",
    ];

    fn add_to_linker<T: CtxView + WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        // Clocks, streams, polls, secure random, standard streams.
        wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
        replace_error_text(linker)?;
        random::insecure::add_to_linker::<T, WasiRandom>(linker, |data| data.ctx_mut().random())?;
        random::insecure_seed::add_to_linker::<T, WasiRandom>(linker, |data| {
            data.ctx_mut().random()
        })?;
        cli::exit::add_to_linker::<T, WasiCli>(linker, T::cli)?;
        cli::environment::add_to_linker::<T, WasiCli>(linker, T::cli)?;
        cli::terminal_input::add_to_linker::<T, WasiCli>(linker, T::cli)?;
        cli::terminal_output::add_to_linker::<T, WasiCli>(linker, T::cli)?;
        cli::terminal_stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
        cli::terminal_stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
        cli::terminal_stderr::add_to_linker::<T, WasiCli>(linker, T::cli)?;
        filesystem::preopens::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;

        filesystem::types::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)
    }
}

/// The longest error text passed to a guest, in bytes.
const MAX_ERROR_TEXT: usize = 4096;

/// Replaces the function that returns the text of an I/O error. The original formats the error with
/// `Debug`, which includes the host's backtrace if `RUST_BACKTRACE` is set.
fn replace_error_text<T: WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);

    let mut interface = linker.instance("wasi:io/error@0.2.12")?;
    interface.func_wrap(
        "[method]error.to-debug-string",
        |mut store: StoreContextMut<'_, T>, (error,): (Resource<IoError>,)| {
            let error = store.data_mut().ctx().table.get(&error)?;
            Ok((sanitize_line(&format!("{error:#}"), MAX_ERROR_TEXT),))
        },
    )?;

    linker.allow_shadowing(false);
    Ok(())
}

// A finer clock would let a guest measure what other tenants leave in the caches.
const TICK: Duration = Duration::from_millis(1);

struct CoarseWallClock;

impl HostWallClock for CoarseWallClock {
    fn resolution(&self) -> Duration {
        TICK
    }

    fn now(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Duration::from_millis(now.as_millis() as u64)
    }
}

struct CoarseMonotonicClock(Instant);

impl HostMonotonicClock for CoarseMonotonicClock {
    fn resolution(&self) -> u64 {
        TICK.as_nanos() as u64
    }

    fn now(&self) -> u64 {
        self.0.elapsed().as_millis() as u64 * self.resolution()
    }
}

/// Standard output or error, which splits what is written into log lines.
#[derive(Clone)]
struct LogStream(Arc<Mutex<LineBuffer>>);

struct LineBuffer {
    grants: Grants,
    call_log: Arc<CallLog>,
    level: Level,
    context: &'static str,
    /// The current, incomplete line.
    partial: Vec<u8>,
    /// The end of the output, to explain a trap.
    recent: String,
}

/// The length at which an incomplete line is passed on, in bytes.
const MAX_PARTIAL: usize = 4096;

impl LogStream {
    fn new(grants: Grants, call_log: Arc<CallLog>, level: Level, context: &'static str) -> Self {
        let lines = LineBuffer {
            grants,
            call_log,
            level,
            context,
            partial: Vec::new(),
            recent: String::new(),
        };
        LogStream(Arc::new(Mutex::new(lines)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LineBuffer> {
        lock(&self.0)
    }
}

impl LineBuffer {
    fn push(&mut self, bytes: &[u8]) {
        for chunk in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.partial.extend_from_slice(chunk);
            if chunk.ends_with(b"\n") || self.partial.len() >= MAX_PARTIAL {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.partial).into_owned();
        self.partial.clear();

        if self.recent.len() + line.len() > STDERR_TAIL {
            self.recent.clear();
        }

        self.recent.push_str(&line[..line.floor_char_boundary(STDERR_TAIL)]);
        write_line(&self.grants, &self.call_log, self.level, self.context, &line);
    }
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    // Used by WASI 0.3 only, which is not linked.
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for LogStream {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.lock().push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_PARTIAL)
    }
}
