//! The HTTP client of a tenant, and its timeouts.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::body::{RequestBody, ResponseBody};
use super::error::to_wasi_error;
use super::tcp_connector::TcpConnector;
use super::tls_connector::{CONNECT_TIME, TlsConnector};
use super::tls_roots::TlsRoots;

/// The most idle connections to one origin: as many as a few instances use at once.
const MAX_IDLE: usize = 4;

/// The time for which an idle connection is kept. Servers close theirs after 15 s and more; with
/// less than that, a request seldom meets a connection that is just closing.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// The most bytes of a response's headers; servers send a few KiB.
const MAX_HEAD: usize = 64 << 10;

/// The longest time until a response begins. Most calls have a far shorter deadline; the slowest
/// services take a minute.
const FIRST_BYTE_TIME: Duration = Duration::from_secs(60);

/// The longest time between two parts of a response; a network silent for longer has lost the
/// connection.
const BETWEEN_BYTES_TIME: Duration = Duration::from_secs(30);

/// The HTTP client of a tenant, with its connections. A clone shares them.
#[derive(Clone)]
pub struct TenantClient {
    client: Client<TlsConnector, RequestBody>,
}

impl TenantClient {
    /// A client without connections.
    pub fn new(trust: &TlsRoots) -> TenantClient {
        let connector = TlsConnector::new(trust, TcpConnector::new(), CONNECT_TIME);
        let mut client = Client::builder(TokioExecutor::new());

        client
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(MAX_IDLE);
        client.http1_max_buf_size(MAX_HEAD);

        TenantClient { client: client.build(connector) }
    }

    /// Sends a request and waits for the head of the response. The response body holds `permit`.
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
        timeouts: Timeouts,
        permit: OwnedSemaphorePermit,
    ) -> Result<Response<WasiBody>, Error> {
        let mut connection = capture_connection(&mut request);
        let mut response = self.client.request(request);
        let connected = async { drop(connection.wait_for_connection_metadata().await) };

        let head = timeouts.wait_for_head(&mut response, connected).await?;
        into_wasi_response(head, timeouts.between_bytes, permit)
    }
}

fn into_wasi_response(
    response: Response<Incoming>,
    between_bytes: Duration,
    permit: OwnedSemaphorePermit,
) -> Result<Response<WasiBody>, Error> {
    let (mut parts, body) = response.into_parts();
    // The client's own limit is approximate: it counts what it has read so far, and may read more.
    let size: usize =
        parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();

    if size > MAX_HEAD {
        return Err(Error::HttpResponseHeaderSectionSize(u32::try_from(size).ok()));
    }

    // The extensions would keep the connection longer than the body does.
    parts.extensions.clear();
    Ok(Response::from_parts(parts, ResponseBody::new(body, between_bytes, permit)?.boxed_unsync()))
}

/// The timeouts of a request. A guest may shorten them but not extend them. The deadline of its
/// call limits them all, since it ends the guest.
pub(super) struct Timeouts {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

impl Timeouts {
    pub(super) fn new(options: Option<RequestOptions>) -> Timeouts {
        let options = options.unwrap_or_default();
        let within =
            |asked: Option<Duration>, most: Duration| asked.map_or(most, |asked| asked.min(most));

        Timeouts {
            connect: within(options.connect_timeout, CONNECT_TIME),
            first_byte: within(options.first_byte_timeout, FIRST_BYTE_TIME),
            between_bytes: within(options.between_bytes_timeout, BETWEEN_BYTES_TIME),
        }
    }

    async fn wait_for_head(
        &self,
        response: &mut ResponseFuture,
        connected: impl Future<Output = ()>,
    ) -> Result<Response<Incoming>, Error> {
        let early = timeout(self.connect, async {
            tokio::select! {
                biased;
                head = &mut *response => Some(head),
                () = connected => None,
            }
        });

        let head = match early.await {
            Ok(Some(head)) => head,
            Ok(None) => {
                timeout(self.first_byte, response).await.map_err(|_| Error::HttpResponseTimeout)?
            }
            Err(_) => return Err(Error::ConnectionTimeout),
        };

        head.map_err(|error| to_wasi_error(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_may_shorten_timeouts_but_not_extend_them() {
        let asked = |time| {
            let options =
                RequestOptions { connect_timeout: Some(time), ..RequestOptions::default() };
            Timeouts::new(Some(options)).connect
        };

        let most = Timeouts::new(None).connect;
        assert_eq!(asked(Duration::from_millis(5)), Duration::from_millis(5));
        assert_eq!(asked(Duration::MAX), most);
    }
}
