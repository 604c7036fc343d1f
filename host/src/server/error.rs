//! Errors that keep a server from starting, with advice for the operator.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::capability::http::TlsRootsError;
use crate::config::Config;
use crate::repository::DirectoryError;

/// An error that keeps a server from starting.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {error}; {}", listen_advice(error.kind()))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        error: std::io::Error,
    },
    /// The WebAssembly engine cannot be built.
    #[error("cannot build the engine: {0:#}")]
    Engine(wasmtime::Error),
    /// The state directory cannot be used.
    #[error("cannot use the state directory {path}: {error}{}", state_advice(error.kind()))]
    State {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// The default models directory cannot be created.
    #[error("cannot create the directory '{path}' for models: {error}; name another with --models")]
    Models {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// The threads for guests or for host work cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
    /// The TLS root certificates for outgoing calls cannot be loaded.
    #[error(transparent)]
    Trust(#[from] TlsRootsError),
    /// The models' directory cannot be watched.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// The advice in the error for an address that cannot be bound.
fn listen_advice(why: ErrorKind) -> &'static str {
    match why {
        ErrorKind::AddrInUse => {
            "stop the program that listens there, or name another port with --listen ADDRESS:PORT (listen in \
             wardian.toml)"
        }
        ErrorKind::PermissionDenied => {
            "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE; name a higher port with --listen \
             ADDRESS:PORT (listen in wardian.toml)"
        }
        _ => {
            "name an address of this machine with --listen ADDRESS:PORT (listen in wardian.toml), such as \
             127.0.0.1:8080"
        }
    }
}

/// The advice in the error for a state directory that cannot be used.
fn state_advice(why: ErrorKind) -> &'static str {
    match why {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "; the user that runs wardian must be able to write there, or name another directory with --state (state in \
             wardian.toml)"
        }
        _ => "",
    }
}

impl ServerError {
    /// Wraps an error in the use of the state directory.
    pub(super) fn state(config: &Config, error: std::io::Error) -> Self {
        ServerError::State { path: config.state.clone(), error }
    }
}
