//! TLS for origins that require it, and a time limit for connecting as a whole.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use tokio::time::timeout;

use super::connection::Connection;
use super::tcp_connector::{ConnectError, TcpConnector};
use super::tls_roots::TlsRoots;

/// The longest time from the lookup to the end of the TLS handshake; a server that takes longer is
/// down or drops packets. The limit applies here and not only to the waiting guest: if a request
/// finds another connection in the meantime, the client goes on connecting for the next one, and a
/// server that never completes its handshake would hold the permit.
pub(super) const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Opens a tenant's connections, encrypted or not. A clone shares the limits.
#[derive(Clone)]
pub(super) struct TlsConnector {
    https: HttpsConnector<TcpConnector>,
    timeout: Duration,
}

impl TlsConnector {
    pub(super) fn new(trust: &TlsRoots, connector: TcpConnector, within: Duration) -> Self {
        let https = HttpsConnectorBuilder::new().with_tls_config((*trust.config()).clone());
        TlsConnector {
            https: https.https_or_http().enable_http1().wrap_connector(connector),
            timeout: within,
        }
    }
}

impl tower::Service<Uri> for TlsConnector {
    type Response = MaybeHttpsStream<Connection>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connecting = timeout(self.timeout, self.https.call(url));
        Box::pin(async { connecting.await.unwrap_or_else(|_| Err(ConnectError::TimedOut.into())) })
    }
}

#[cfg(test)]
mod tests {
    use tower::Service;

    use super::*;

    #[tokio::test]
    async fn a_handshake_that_never_completes_times_out() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let mut handshake = TlsConnector::new(
            &TlsRoots::new(None).unwrap(),
            TcpConnector::new(),
            Duration::from_millis(20),
        );
        let error = handshake.call(url).await.map(drop).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(ConnectError::TimedOut)), "{error}");
    }
}
