//! The connection of a request, as far as its response affects it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::model::TenantName;
use crate::mutex::lock;

/// A handle to a client connection. It can end the connection: a response that the client does not
/// read keeps its connection open and cannot end by itself. Clones share the connection.
#[derive(Clone, Default)]
pub struct Connection(Arc<State>);

#[derive(Default)]
struct State {
    hang_up: Notify,
    closing: AtomicBool,
    refusing: AtomicBool,
    guest_call: AtomicBool,
    tenant: Mutex<Option<TenantName>>,
}

/// Marks the connection as discarding the rest of a rejected request's body, until dropped.
pub(in crate::api) struct DiscardingBody<'c>(&'c Connection);

/// A timer that ends a connection. Dropping it cancels the timer.
pub(in crate::api) struct HangUpTimer(AbortHandle);

impl Connection {
    /// Resolves when the connection must be closed.
    pub async fn hang_up_requested(&self) {
        self.0.hang_up.notified().await;
    }

    /// True once a response has announced that the connection closes. The client may still be
    /// sending at that time.
    pub fn is_closing(&self) -> bool {
        self.0.closing.load(Ordering::Relaxed)
    }

    /// True while the rest of a rejected request's body is discarded.
    pub fn is_discarding_body(&self) -> bool {
        self.0.refusing.load(Ordering::Relaxed)
    }

    /// Records that the present request calls a guest.
    pub(in crate::api) fn set_guest_call(&self) {
        self.0.guest_call.store(true, Ordering::Relaxed);
    }

    /// True if the present request calls a guest.
    pub fn has_guest_call(&self) -> bool {
        self.0.guest_call.load(Ordering::Relaxed)
    }

    /// True if a request has called a guest since the last call of this function.
    pub fn take_guest_call(&self) -> bool {
        self.0.guest_call.swap(false, Ordering::Relaxed)
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
        self.0.refusing.store(true, Ordering::Relaxed);
        DiscardingBody(self)
    }

    fn lock_tenant(&self) -> MutexGuard<'_, Option<TenantName>> {
        lock(&self.0.tenant)
    }

    /// Announces in a response that the connection closes after it.
    pub(in crate::api) fn close_after(&self, response: &mut Response) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        self.0.closing.store(true, Ordering::Relaxed);
    }

    /// Starts a timer that ends the connection at `when`.
    pub(in crate::api) fn hang_up_at(self, when: Instant) -> HangUpTimer {
        let timer = async move {
            tokio::time::sleep_until(when.into()).await;
            self.0.hang_up.notify_one();
        };
        HangUpTimer(tokio::spawn(timer).abort_handle())
    }
}

impl Drop for DiscardingBody<'_> {
    fn drop(&mut self) {
        self.0.0.refusing.store(false, Ordering::Relaxed);
    }
}

impl Drop for HangUpTimer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
