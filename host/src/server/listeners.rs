//! The sockets on which a server accepts connections.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

use super::error::ServerError;
use crate::config::Config;

/// The sockets of a server. Each of them serves every protocol.
pub struct Listeners {
    http: TcpListener,
    grpc: Option<TcpListener>,
}

impl Listeners {
    /// Binds the addresses of a server.
    pub async fn bind(config: &Config) -> Result<Self, ServerError> {
        let http = listen(config.listen).await?;
        let grpc = match config.grpc_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        Ok(Listeners { http, grpc })
    }

    /// Returns the bound addresses: that for HTTP, and that for gRPC if it has its own.
    pub fn addresses(&self) -> io::Result<(SocketAddr, Option<SocketAddr>)> {
        let grpc = self.grpc.as_ref().map(TcpListener::local_addr).transpose()?;
        Ok((self.http.local_addr()?, grpc))
    }

    /// Returns the bound address for HTTP.
    pub(super) fn http_address(&self) -> io::Result<SocketAddr> {
        self.http.local_addr()
    }

    /// Waits for a connection.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.grpc {
            None => self.http.accept().await,
            Some(grpc) => tokio::select! {
                accepted = self.http.accept() => accepted,
                accepted = grpc.accept() => accepted,
            },
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|error| ServerError::Listen { address, error })
}
