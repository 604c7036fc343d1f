//! The connection of a request, as far as its response affects it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::model::TenantName;
use crate::mutex::lock;

/// A handle to a client connection. It can end the connection: a response that the client does not
/// read keeps its connection open and cannot end by itself. Clones share the connection.
#[derive(Clone, Default)]
pub struct Connection {
    state: Arc<State>,
    /// True if the present request calls a guest. Requests of HTTP/2 are present at the same time,
    /// and each has its own.
    guest_call: Arc<AtomicBool>,
}

/// Serves a connection after its upgrade to another protocol. It calls the hook after each request.
pub type Conversation = Box<dyn FnOnce(Connection, AnswerHook) -> BoxFuture<'static, ()> + Send>;

/// Called on an upgraded connection after each request.
pub type AnswerHook = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct State {
    hang_up: Notify,
    closing: AtomicBool,
    refusing: AtomicBool,
    is_http2: AtomicBool,
    /// Requests that wait for the next message of their client.
    waiting: AtomicUsize,
    tenant: Mutex<Option<TenantName>>,
    /// The conversation after the upgrade that a response has announced. It must not hold the
    /// connection.
    conversation: Mutex<Option<Conversation>>,
}

/// Marks the connection as discarding the rest of a rejected request's body, until dropped.
pub(in crate::api) struct DiscardingBody<'c>(&'c Connection);

/// Marks a request as waiting for the next message of its client, until dropped.
pub(in crate::api) struct WaitingForClient(Connection);

/// A timer that ends a connection. Dropping it cancels the timer.
pub(in crate::api) struct HangUpTimer(AbortHandle);

impl Connection {
    /// Resolves when the connection must be closed.
    pub async fn hang_up_requested(&self) {
        self.state.hang_up.notified().await;
    }

    /// True once a response has announced that the connection closes. The client may still be
    /// sending at that time.
    pub fn is_closing(&self) -> bool {
        self.state.closing.load(Ordering::Relaxed)
    }

    /// True while the rest of a rejected request's body is discarded.
    pub fn is_discarding_body(&self) -> bool {
        self.state.refusing.load(Ordering::Relaxed)
    }

    /// Records that the client speaks HTTP/2.
    pub fn set_http2(&self) {
        self.state.is_http2.store(true, Ordering::Relaxed);
    }

    /// True if the client speaks HTTP/2.
    fn is_http2(&self) -> bool {
        self.state.is_http2.load(Ordering::Relaxed)
    }

    /// Returns a handle for one of several requests at the same time.
    #[must_use]
    pub fn for_request(&self) -> Connection {
        Connection { state: Arc::clone(&self.state), guest_call: Arc::default() }
    }

    /// The number of requests that wait for the next message of their client.
    pub fn waiting(&self) -> usize {
        self.state.waiting.load(Ordering::Relaxed)
    }

    /// Marks a request as waiting for the next message of its client.
    pub(in crate::api) fn start_waiting(&self) -> WaitingForClient {
        self.state.waiting.fetch_add(1, Ordering::Relaxed);
        WaitingForClient(self.clone())
    }

    /// Records that the present request calls a guest.
    pub(in crate::api) fn set_guest_call(&self) {
        self.guest_call.store(true, Ordering::Relaxed);
    }

    /// True if the present request calls a guest.
    pub fn has_guest_call(&self) -> bool {
        self.guest_call.load(Ordering::Relaxed)
    }

    /// True if a request has called a guest since the last call of this function.
    pub fn take_guest_call(&self) -> bool {
        self.guest_call.swap(false, Ordering::Relaxed)
    }

    /// The tenant of the last request.
    pub fn tenant(&self) -> Option<TenantName> {
        self.lock_tenant().clone()
    }

    /// Records the tenant of a request.
    pub(in crate::api) fn set_tenant(&self, name: &TenantName) {
        let mut noted = self.lock_tenant();
        if noted.as_ref() != Some(name) {
            *noted = Some(name.clone());
        }
    }

    /// Marks the connection as discarding the rest of a rejected request's body.
    pub(in crate::api) fn start_discarding(&self) -> DiscardingBody<'_> {
        self.state.refusing.store(true, Ordering::Relaxed);
        DiscardingBody(self)
    }

    fn lock_tenant(&self) -> MutexGuard<'_, Option<TenantName>> {
        lock(&self.state.tenant)
    }

    /// Announces in a response that the connection closes after it. A connection of HTTP/2 is
    /// closed when the server stops, which announces it in its own way.
    pub(in crate::api) fn close_after(&self, response: &mut Response) {
        if self.is_http2() {
            return;
        }

        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        self.set_closing();
    }

    /// Records that the server closes the connection. The client may still be sending.
    pub(in crate::api) fn set_closing(&self) {
        self.state.closing.store(true, Ordering::Relaxed);
    }

    /// Sets what follows the upgrade that a response is about to announce.
    pub(in crate::api) fn set_conversation(&self, conversation: Conversation) {
        *lock(&self.state.conversation) = Some(conversation);
    }

    /// Returns what follows the last response, if it has announced an upgrade.
    pub fn take_conversation(&self) -> Option<Conversation> {
        lock(&self.state.conversation).take()
    }

    /// Starts a timer that ends the connection at `when`. A connection of HTTP/2 has other
    /// requests, and a time limit for each response that its client does not take.
    pub(in crate::api) fn hang_up_at(self, when: Instant) -> HangUpTimer {
        let timer = async move {
            tokio::time::sleep_until(when.into()).await;
            if !self.is_http2() {
                self.state.hang_up.notify_one();
            }
        };
        HangUpTimer(tokio::spawn(timer).abort_handle())
    }
}

impl Drop for DiscardingBody<'_> {
    fn drop(&mut self) {
        self.0.state.refusing.store(false, Ordering::Relaxed);
    }
}

impl Drop for WaitingForClient {
    fn drop(&mut self) {
        self.0.state.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for HangUpTimer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
