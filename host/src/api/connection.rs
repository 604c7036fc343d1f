//! The connection that a request came on, as far as its response has to do with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::model::TenantName;

/// A connection, which ends when somebody asks for it: a response that nobody reads is held by its
/// connection and cannot end by itself. A clone is the same connection.
#[derive(Clone, Default)]
pub struct Connection(Arc<State>);

#[derive(Default)]
struct State {
    end: Notify,
    closing: AtomicBool,
    refusing: AtomicBool,
    tenant: Mutex<Option<TenantName>>,
}

/// What is left of a refused request's body is read, until this is dropped.
pub(super) struct Refusing<'c>(&'c Connection);

/// Has a connection ended at some time, unless this is dropped before.
pub(super) struct HangUp(AbortHandle);

impl Connection {
    /// Resolves when the connection is to end.
    pub async fn ended(&self) {
        self.0.end.notified().await;
    }

    /// True once a response has announced that the connection closes. Its client may still be
    /// sending then.
    pub fn is_closing(&self) -> bool {
        self.0.closing.load(Ordering::Relaxed)
    }

    /// True while what is left of a refused request's body is read.
    pub fn is_refusing(&self) -> bool {
        self.0.refusing.load(Ordering::Relaxed)
    }

    /// In whose name the last request came.
    pub fn tenant(&self) -> Option<TenantName> {
        self.tenant_now().clone()
    }

    /// Notes in whose name a request comes.
    pub(super) fn note_tenant(&self, name: &TenantName) {
        let mut noted = self.tenant_now();
        if noted.as_ref() != Some(name) {
            *noted = Some(name.clone());
        }
    }

    /// Notes that what is left of a refused request's body is read.
    pub(super) fn refusing(&self) -> Refusing<'_> {
        self.0.refusing.store(true, Ordering::Relaxed);
        Refusing(self)
    }

    fn tenant_now(&self) -> MutexGuard<'_, Option<TenantName>> {
        self.0.tenant.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces in a response that the connection closes after it.
    pub(super) fn close_after(&self, response: &mut Response) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        self.0.closing.store(true, Ordering::Relaxed);
    }

    /// Has the connection ended then.
    pub(super) fn hang_up_at(self, when: Instant) -> HangUp {
        let timer = async move {
            tokio::time::sleep_until(when.into()).await;
            self.0.end.notify_one();
        };
        HangUp(tokio::spawn(timer).abort_handle())
    }
}

impl Drop for Refusing<'_> {
    fn drop(&mut self) {
        self.0.0.refusing.store(false, Ordering::Relaxed);
    }
}

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.abort();
    }
}
