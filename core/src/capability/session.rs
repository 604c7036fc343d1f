//! `wardian:model/session`: state that a model keeps from one request of a session to the next.
//!
//! The caller of the guest loads the state before the call and commits it after the call; the guest
//! works on a copy.

use std::sync::{Arc, Mutex, MutexGuard};

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;

use super::{Ctx, CtxView, HasCtx, HostCapability};
use crate::model::{QuotaExceeded, format_size};
use crate::mutex::lock;
use crate::tenant::{QuotaGuard, Resource, Tenant};
use bindings::wardian::model::session::{Host, SessionError};

mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package wardian:host;
            world sessions {
                import wardian:model/session@0.1.0;
            }
        ",
        world: "wardian:host/sessions",
    });
}

/// The session of a call.
pub struct Session {
    id: String,
    max_size: u64,
    state: Mutex<State>,
}

struct State {
    /// Shared with a migration in progress.
    bytes: Option<Arc<Vec<u8>>>,
    changed: bool,
    /// The version that wrote the state, if it is another one and this version migrates sessions.
    from: Option<u64>,
    /// Charges the state to the tenant's memory, also after it was taken, until the session is
    /// dropped.
    held: QuotaGuard,
}

impl Session {
    /// A session with that state. `from` is the version that wrote it, if the current version is to
    /// migrate it. Drops idle instances of the tenant to make room for the state. Fails if the
    /// tenant's memory quota is used up.
    pub fn new(
        tenant: &Arc<Tenant>,
        id: String,
        bytes: Option<Vec<u8>>,
        from: Option<u64>,
        max_size: u64,
    ) -> Result<Session, QuotaExceeded> {
        let held = loop {
            match tenant.take(Resource::Memory, size(&bytes)) {
                Err(_) if tenant.reclaim() => {}
                outcome => break outcome?,
            }
        };
        let from = from.filter(|_| bytes.is_some());
        let bytes = bytes.map(Arc::new);

        Ok(Session { id, max_size, state: Mutex::new(State { bytes, changed: false, from, held }) })
    }

    /// The session id chosen by the client.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The most bytes of its state.
    pub fn max_size(&self) -> u64 {
        self.max_size
    }

    /// The version that wrote the state, and the state, if the current version has yet to migrate
    /// it.
    pub fn pending_migration(&self) -> Option<(u64, Arc<Vec<u8>>)> {
        let state = self.lock();
        state.from.zip(state.bytes.clone())
    }

    /// Stores the migrated state. Fails with a text for the model's author.
    pub fn complete_migration(&self, bytes: Option<Vec<u8>>) -> Result<(), String> {
        self.lock().from = None;
        self.set(bytes).map_err(|error| match error {
            SessionError::TooLarge(text) => text,
            SessionError::NoSession => "there is no session".into(),
        })
    }

    /// Takes the state if it changed; `None` if not. A changed state counts against the tenant's
    /// memory until the session is dropped.
    pub fn take_changed(&self) -> Option<Option<Vec<u8>>> {
        let mut state = self.lock();
        let bytes = state.bytes.take();
        if std::mem::take(&mut state.changed) {
            return Some(bytes.map(Arc::unwrap_or_clone));
        }

        drop(bytes);
        let unchanged = state.held.amount();
        state.held.shrink(unchanged);
        None
    }

    fn set(&self, bytes: Option<Vec<u8>>) -> Result<(), SessionError> {
        let size = size(&bytes);
        if size > self.max_size {
            let limit = format_size(self.max_size);
            return Err(SessionError::TooLarge(format!(
                "the state has {size} bytes; sessions.max_size allows {limit}"
            )));
        }

        let mut state = self.lock();
        let before = state.held.amount();
        state.held.shrink(before.saturating_sub(size));

        let grown = state.held.grow(size.saturating_sub(before));
        grown.map_err(|refusal| SessionError::TooLarge(refusal.to_string()))?;

        state.bytes = bytes.map(Arc::new);
        state.changed = true;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn size(bytes: &Option<Vec<u8>>) -> u64 {
    bytes.as_ref().map_or(0, Vec::len) as u64
}

impl HostCapability for Session {
    const IMPORTS: &'static [&'static str] = &["wardian:model/session"];

    fn add_to_linker<T: CtxView + WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        bindings::wardian::model::session::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())
    }
}

impl Ctx {
    /// The session of the current call. A `load` has no session, even if a request waits for it.
    fn session(&self) -> Result<&Session, SessionError> {
        let session = self.call.session.as_deref().filter(|_| !self.loading);
        session.ok_or(SessionError::NoSession)
    }
}

impl Host for Ctx {
    fn id(&mut self) -> Result<String, SessionError> {
        Ok(self.session()?.id.clone())
    }

    fn get(&mut self) -> Result<Option<Vec<u8>>, SessionError> {
        Ok(self.session()?.lock().bytes.as_deref().cloned())
    }

    fn set(&mut self, state: Vec<u8>) -> Result<(), SessionError> {
        self.session()?.set(Some(state))
    }

    fn clear(&mut self) -> Result<(), SessionError> {
        self.session()?.set(None)
    }
}
