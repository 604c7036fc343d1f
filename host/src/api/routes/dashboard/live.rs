//! `GET /v2/dashboard`: the state of a tenant's models, once or as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use futures_util::stream::unfold;

use super::state::read_state;
use crate::api::access_guard::BoundedByHandler;
use crate::api::auth::{self, Access, Caller};
use crate::api::context::RequestContext;
use crate::api::dashboard::StreamPermit;
use crate::api::error::ApiError;
use crate::api::http::connection::HangUpTimer;
use crate::api::http::media_type::AcceptHeader;
use crate::api::state::ApiState;

/// Time between two looks at the state. A swap is seen as it happens.
const INTERVAL: Duration = Duration::from_secs(1);

/// Further time between two looks for each KiB of the state, so that a thousand models do not keep
/// a core busy.
const INTERVAL_OF_KIB: Duration = Duration::from_millis(20);

/// Time without a change after which a comment keeps the connection alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Time after which a stream ends. The page opens another one, with its key.
const LIFETIME: Duration = Duration::from_secs(600);

/// Time that a client has to read the rest of a stream.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// `GET /v2/dashboard`: the state as JSON, or as a stream of events if the client asks for that.
pub(super) async fn state(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

    if !state.dashboard.is_enabled() {
        return Err(ApiError::no_such_path("/v2/dashboard"));
    }

    let mut response = match AcceptHeader::from_headers(&headers).lists("text/event-stream") {
        true => stream(state, &context, &caller, headers).await?,
        false => {
            let json = read_state(&state, &caller).await?;
            ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response()
        }
    };

    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));

    Ok(response)
}

async fn stream(
    state: Arc<ApiState>,
    context: &RequestContext,
    caller: &Caller,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

    let streams = &state.dashboard.streams;
    let permit = streams.admit(caller.tenant_name()?, caller.is_admin(), caller.key_id())?;
    let first = read_state(&state, caller).await?;
    let end = Instant::now() + LIFETIME;
    let hang_up = context.connection.clone().hang_up_at(end + FLUSH_TIMEOUT);

    let events = Events {
        state,
        headers,
        end,
        sent: Bytes::new(),
        next: Some(first),
        _permit: permit,
        _hang_up: hang_up,
    };

    let mut response =
        ([(CONTENT_TYPE, EVENTS)], Body::from_stream(events.into_stream())).into_response();
    response.extensions_mut().insert(BoundedByHandler);

    Ok(response)
}

/// The events of one stream.
struct Events {
    state: Arc<ApiState>,
    /// The head of the request, whose key is checked again for each event.
    headers: HeaderMap,
    end: Instant,
    /// The state that was sent last.
    sent: Bytes,
    /// The first state, until it is sent.
    next: Option<Bytes>,
    _permit: StreamPermit,
    _hang_up: HangUpTimer,
}

impl Events {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        unfold(self, async |mut events| events.next().await.map(|event| (Ok(event), events)))
    }

    /// Waits for a change. Returns `None` when the stream ends: after its lifetime, when the server
    /// stops, and when the key is no longer valid.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.next.take() {
            return Some(self.send(first));
        }

        let heartbeat = Instant::now() + HEARTBEAT;

        loop {
            self.wait().await?;
            let caller = auth::authorize(&self.state, &self.headers, Access::Key).ok()?;
            let now = read_state(&self.state, &caller).await.ok()?;

            if now != self.sent {
                return Some(self.send(now));
            }
            if Instant::now() >= heartbeat {
                return Some(KEEP_ALIVE);
            }
        }
    }

    /// Waits until the next look. Returns `None` when the stream ends.
    async fn wait(&self) -> Option<()> {
        let look = Instant::now() + INTERVAL + INTERVAL_OF_KIB * (self.sent.len() >> 10) as u32;

        while Instant::now() < look {
            tokio::time::sleep(INTERVAL.min(look - Instant::now())).await;

            if self.state.dataplane.is_stopping() || Instant::now() >= self.end {
                return None;
            }
        }

        Some(())
    }

    fn send(&mut self, state: Bytes) -> Bytes {
        // JSON contains no line break, so one `data` line is enough.
        let event = [b"data: ", &state[..], b"\n\n"].concat().into();
        self.sent = state;
        event
    }
}
