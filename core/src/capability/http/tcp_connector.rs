//! Opens TCP connections to origins: one lookup, one check, and a connection to a checked address.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::address::is_permitted;
use super::connection::Connection;
use crate::blocking;
use crate::model::{Host, Origin};

/// The most open connections of a tenant, idle ones included. Each takes a file descriptor and
/// buffers, and the host has perhaps 65,536 descriptors in total.
const MAX_CONNECTIONS: usize = 128;

/// The most concurrent lookups of a tenant. Each blocks a thread in the system's resolver, for many
/// seconds if a name server is silent, and cannot be cancelled.
const MAX_LOOKUPS: usize = 4;

/// Opens a tenant's TCP connections. A clone shares the limits.
#[derive(Clone)]
pub(super) struct TcpConnector {
    connections: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
}

/// The reason why a connection cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("the URL names no origin: {0}")]
    NoOrigin(&'static str),
    #[error("{0} cannot be looked up: {1}")]
    Lookup(Host, io::Error),
    #[error(
        "{host} is {address}, which is not a public address; only an origin with that very address allows it"
    )]
    Prohibited { host: Host, address: IpAddr },
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, io::Error),
    #[error("connecting took too long")]
    TimedOut,
    #[error("the tenant's connections are closed")]
    Closed,
}

impl TcpConnector {
    pub(super) fn new() -> Self {
        TcpConnector {
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }

    /// Connects to the origin of a URL. Waits while the tenant has too many connections; the caller
    /// limits the time.
    async fn connect(self, url: Uri) -> Result<Connection, ConnectError> {
        let permit = self.connections.acquire_owned().await.map_err(|_| ConnectError::Closed)?;

        let authority = url.authority().map_or("", |authority| authority.as_str());
        let origin = Origin::from_parts(url.scheme_str().unwrap_or_default(), authority)
            .map_err(ConnectError::NoOrigin)?;

        let addresses = resolve(&origin, self.lookups).await?;
        check_addresses(origin.host(), &addresses)?;

        let stream = connect_to_any(origin.host(), &addresses).await?;

        // A request is written at once; delaying it to collect more would only add a round trip.
        let _ = stream.set_nodelay(true);
        Ok(Connection::new(TokioIo::new(stream), permit))
    }
}

impl tower::Service<Uri> for TcpConnector {
    type Response = Connection;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        Box::pin(self.clone().connect(url))
    }
}

async fn resolve(
    origin: &Origin,
    lookups: Arc<Semaphore>,
) -> Result<Vec<SocketAddr>, ConnectError> {
    match origin.host() {
        Host::Address(address) => Ok(vec![SocketAddr::new(*address, origin.port())]),
        Host::Name(name) => {
            let permit = lookups.acquire_owned().await.map_err(|_| ConnectError::Closed)?;
            let found = resolve_name(name.clone(), origin.port(), permit).await;
            found.map_err(|error| ConnectError::Lookup(origin.host().clone(), error))
        }
    }
}

/// Looks a name up with the system's resolver. The permit stays with the resolver's thread, even if
/// the caller stops waiting.
async fn resolve_name(
    name: String,
    port: u16,
    permit: OwnedSemaphorePermit,
) -> io::Result<Vec<SocketAddr>> {
    let lookup = blocking::run(move || {
        let _permit = permit;
        (name.as_str(), port).to_socket_addrs().map(Vec::from_iter)
    });
    lookup.await.map_err(io::Error::other)?
}

/// Checks that all addresses are permitted. One prohibited address refuses the host: a name with
/// public and private addresses is an attack or a mistake, and the outcome must not depend on the
/// order of the addresses.
fn check_addresses(host: &Host, addresses: &[SocketAddr]) -> Result<(), ConnectError> {
    let prohibited =
        addresses.iter().map(SocketAddr::ip).find(|address| !is_permitted(host, *address));

    match prohibited {
        Some(address) => Err(ConnectError::Prohibited { host: host.clone(), address }),
        None => Ok(()),
    }
}

async fn connect_to_any(host: &Host, addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut last = ConnectError::Lookup(host.clone(), io::Error::other("it has no address"));

    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = ConnectError::Connect(*address, error),
        }
    }

    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(addresses: &[&str]) -> Result<(), ConnectError> {
        let addresses: Vec<_> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        check_addresses(&Host::Name("rebinding.example".into()), &addresses)
    }

    #[test]
    fn one_private_address_among_public_ones_refuses_the_host() {
        checked(&["1.1.1.1:443", "[2606:4700::1111]:443"]).unwrap();
        let error = checked(&["1.1.1.1:443", "10.0.0.1:443"]).unwrap_err().to_string();
        assert!(error.contains("rebinding.example is 10.0.0.1"), "{error}");
    }

    #[tokio::test]
    async fn a_closed_connection_frees_its_permit() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let connector = TcpConnector::new();
        let connection = connector.clone().connect(url).await.unwrap();
        assert_eq!(connector.connections.available_permits(), MAX_CONNECTIONS - 1);
        drop(connection);
        assert_eq!(connector.connections.available_permits(), MAX_CONNECTIONS);
    }
}
