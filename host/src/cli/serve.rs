//! `wardian serve`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::value_parsers::{parse_duration, parse_location, parse_model_name};
use super::{Outcome, logging, output};
use crate::allocator;
use crate::config::{Config, Overrides, listen_address};
use crate::model::ModelName;
use crate::repository::WatchMode;
use crate::server::{Listeners, Server, ServerError, check_config, config_warnings};
use crate::telemetry::{self, LogFormat, LogLevel};
use crate::tenant::{ApiKey, RepositoryLocation};

/// Options of `wardian serve`. Each overrides the setting of that name in wardian.toml.
#[derive(Args)]
pub(super) struct Serve {
    /// The configuration file [default: wardian.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on, such as 0.0.0.0:8080 or localhost:8081; port 0 picks a free one
    /// [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen_address)]
    listen: Option<SocketAddr>,
    /// Accept other machines although no keys are configured
    #[arg(long)]
    insecure: bool,
    /// Models of the default tenant: a directory, or a URL like s3://bucket/prefix [default:
    /// models]
    #[arg(long, value_name = "DIRECTORY|URL", value_parser = parse_location)]
    models: Option<RepositoryLocation>,
    /// Directory for compiled models and version numbers [default: .wardian]
    #[arg(long, value_name = "DIRECTORY")]
    state: Option<PathBuf>,
    /// Detection of changes to models [default: auto]
    #[arg(long)]
    watch: Option<WatchArg>,
    /// Longest time to stop, with all that is under way, such as 2m [default: 25s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    drain_timeout: Option<Duration>,
    /// Model of POST /invocations when the request names none
    #[arg(long, value_name = "MODEL", value_parser = parse_model_name)]
    default_model: Option<ModelName>,
    /// Format of log lines [default: text]
    #[arg(long)]
    log_format: Option<LogFormatArg>,
    /// The least important level of log lines [default: info]
    #[arg(long)]
    log_level: Option<LogLevelArg>,
    /// Check the configuration, and serve nothing
    #[arg(long)]
    check_config: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum WatchArg {
    /// By events, or by polling where events do not work
    Auto,
    /// By events
    Events,
    /// By polling
    Poll,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormatArg {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogLevelArg {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Serve {
    pub(super) fn run(self) -> Result<Outcome> {
        let only_check = self.check_config;
        let (config, watched) = Config::resolve_and_watch(self.overrides())
            .context("the configuration is not usable")?;
        if only_check {
            check_config(&config)?;
            output::print(&config_summary(&config))?;
            config_warnings(&config)
                .iter()
                .for_each(|text| output::print_stderr(&format!("note: {text}")));
            return Ok(Outcome::Success);
        }

        logging::install(&config.log).context("cannot start a thread that writes the log")?;
        check_config(&config)?;
        create_default_models(&config)?;

        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let runtime = build_runtime()?;
        allocator::start_collector().context("cannot start a thread that returns memory")?;

        runtime.block_on(async {
            let listeners = Listeners::bind(&config).await?;
            let (http, grpc) = listeners.addresses().context("cannot read a socket's address")?;
            let server = Server::build(config, watched, program, listeners)?;
            print_addresses(http, grpc)?;
            server.run(shutdown_signal()).await;
            anyhow::Ok(())
        })?;

        // Tasks that are still running had their time to drain.
        runtime.shutdown_background();
        telemetry::flush_log();
        Ok(Outcome::Success)
    }

    fn overrides(self) -> Overrides {
        Overrides {
            config: self.config,
            listen: self.listen,
            insecure: self.insecure.then_some(true),
            state: self.state,
            models: self.models,
            watch: self.watch.map(|watch| match watch {
                WatchArg::Auto => WatchMode::Auto,
                WatchArg::Events => WatchMode::Events,
                WatchArg::Poll => WatchMode::Poll,
            }),
            drain_timeout: self.drain_timeout,
            default_model: self.default_model,
            log_format: self.log_format.map(|format| match format {
                LogFormatArg::Text => LogFormat::Text,
                LogFormatArg::Json => LogFormat::Json,
            }),
            log_level: self.log_level.map(|level| match level {
                LogLevelArg::Error => LogLevel::Error,
                LogLevelArg::Warn => LogLevel::Warn,
                LogLevelArg::Info => LogLevel::Info,
                LogLevelArg::Debug => LogLevel::Debug,
                LogLevelArg::Trace => LogLevel::Trace,
            }),
        }
    }
}

/// Returns a summary of the configuration.
fn config_summary(config: &Config) -> Vec<String> {
    let tenants = config.tenancy.tenants.iter();
    let tenants = tenants.map(|(name, tenant)| {
        let weight = tenant.weight;
        let repository = &tenant.repository;
        format!("tenant  {name}: weight {weight}, {}, in {repository}", key_ids(&tenant.keys))
    });

    let host =
        format!("listen  {}, the host's own: {}", config.listen, key_ids(&config.tenancy.keys));
    ["the configuration is sound".into(), host].into_iter().chain(tenants).collect()
}

fn key_ids(keys: &[ApiKey]) -> String {
    let ids: Vec<_> = keys.iter().map(|key| key.id.as_str()).collect();
    if ids.is_empty() { "no keys".into() } else { format!("keys {}", ids.join(" ")) }
}

/// Builds the runtime whose threads serve HTTP.
fn build_runtime() -> Result<Runtime> {
    let build =
        || tokio::runtime::Builder::new_multi_thread().thread_name("http").enable_all().build();
    // It panics if the system has no room for another thread.
    let runtime = std::panic::catch_unwind(build).map_err(|_| {
        anyhow!("cannot start threads: there is no room for more; raise `ulimit -u` or the container's limit")
    });
    Ok(runtime??)
}

/// Creates the default models directory.
fn create_default_models(config: &Config) -> Result<(), ServerError> {
    let Some(path) = config.default_models() else { return Ok(()) };
    std::fs::create_dir_all(&path).map_err(|error| ServerError::Models { path, error })
}

/// Prints the addresses of the server, for operators and for programs that start it.
fn print_addresses(http: SocketAddr, grpc: Option<SocketAddr>) -> std::io::Result<()> {
    let mut text = format!("listening on http://{http}\n");
    if let Some(grpc) = grpc {
        text = format!("{text}listening for gRPC on {grpc}\n");
    }

    // At once: whoever reads the first line may close the pipe.
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Resolves at the first signal to stop. The second signal ends the process at once.
async fn shutdown_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("cannot listen for signals; kill this process to stop it");
        return std::future::pending().await;
    };

    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };

    next().await;

    tokio::spawn(async move {
        next().await;
        tracing::warn!("second signal to stop: stopping at once");
        telemetry::flush_log();
        std::process::exit(1);
    });
}
