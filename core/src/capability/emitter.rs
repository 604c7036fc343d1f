//! `wardian:model/emitter`: the parts of a streamed response.
//!
//! A buffer between the guest and the reader holds a few parts. While it is full, `emit` suspends
//! the guest, which keeps its instance but neither a turn nor a thread, until the reader has taken
//! a part or is gone, or the call's deadline ends it. A part counts against the tenant's memory
//! quota until the reader takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;

use super::{Ctx, CtxView, HasCtx, HostAbort, HostCapability, types, yield_if_large};
use crate::model::{InferError, InferResponse, Metadata, QuotaExceeded};
use crate::tenant::{QuotaGuard, Resource, Tenant};

mod generated {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package wardian:host;
            world emission {
                import wardian:model/emitter@0.1.0;
            }
        ",
        world: "wardian:host/emission",
        imports: { default: async | trappable },
        with: { "wardian:model/types@0.1.0": crate::capability::types },
    });
}

use generated::wardian::model::emitter::{EmitError, Host};

/// Bytes of the buffer between a guest and its reader: what a socket accepts at once, so that a
/// fast reader never waits.
const BUFFER_SIZE: u32 = 64 << 10;

/// The least bytes that a part takes in the buffer, so that it holds at most sixteen parts.
const MIN_PART_CHARGE: u32 = 4 << 10;

/// Bytes that every part adds to the total beside its content, so that empty parts are limited too.
const PART_OVERHEAD: u64 = 64;

/// The limits on the parts of a response, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// Each part.
    pub part: u64,
    /// All parts together.
    pub total: u64,
}

/// The guest's end of a streamed response: accepts its parts.
pub struct Emitter {
    tenant: Arc<Tenant>,
    metadata: Arc<Metadata>,
    limits: StreamLimits,
    room: Arc<Semaphore>,
    parts: UnboundedSender<Part>,
    sent: AtomicU64,
    /// The parts exceeded the total limit.
    exhausted: AtomicBool,
    /// The number of guests that wait for their reader.
    waiting: Gauge,
}

/// The reader's end. Dropping it closes the stream for the guest.
pub struct PartReceiver {
    room: Arc<Semaphore>,
    parts: UnboundedReceiver<Part>,
}

struct Part {
    response: InferResponse,
    /// Freed when the reader takes the part, like the memory.
    _room: OwnedSemaphorePermit,
    _memory: QuotaGuard,
}

impl Emitter {
    /// Creates both ends. The parts are charged to `tenant`. `waiting` counts the guests that wait
    /// for their reader.
    pub fn new(
        tenant: Arc<Tenant>,
        metadata: Arc<Metadata>,
        limits: StreamLimits,
        waiting: Gauge,
    ) -> (Emitter, PartReceiver) {
        let (sender, receiver) = unbounded_channel();
        let room = Arc::new(Semaphore::new(BUFFER_SIZE as usize));
        let receiver = PartReceiver { room: room.clone(), parts: receiver };
        let emitter = Emitter {
            tenant,
            metadata,
            limits,
            room,
            parts: sender,
            sent: AtomicU64::new(0),
            exhausted: AtomicBool::new(false),
            waiting,
        };

        (emitter, receiver)
    }

    /// Fails if the parts exceeded the total limit.
    pub fn check_total(&self) -> Result<(), InferError> {
        let limit = self.limits.total;
        if self.exhausted.load(Ordering::Relaxed) {
            Err(InferError::ResponseTooLarge { limit })
        } else {
            Ok(())
        }
    }

    /// Sends a guest's part once there is room for it. Fails, which ends the call, if it does not
    /// match the model's metadata, if it is too large, or if the tenant's memory quota is used up.
    async fn emit(&self, part: InferResponse) -> Result<Result<(), EmitError>, InferError> {
        let size = part.size();
        yield_if_large(size).await;
        self.check(&part, size)?;

        if self.add_to_total(size).is_err() {
            return Ok(Err(EmitError::Limit(format!(
                "all parts together may have {} bytes",
                self.limits.total
            ))));
        }

        let sent = self.send(part, size).await?;
        Ok(if sent { Ok(()) } else { Err(EmitError::Gone) })
    }

    /// Sends a part unchecked once there is room for it, or discards it if the reader is gone.
    /// Fails if all parts together exceed the limit, or if the tenant's memory quota is used up.
    pub async fn forward(&self, part: InferResponse) -> Result<(), InferError> {
        let size = part.size();
        self.add_to_total(size)?;
        self.send(part, size).await?;
        Ok(())
    }

    /// Adds a part to the total. Fails if that exceeds the limit.
    fn add_to_total(&self, size: u64) -> Result<(), InferError> {
        let counted = size + PART_OVERHEAD;
        if self.sent.fetch_add(counted, Ordering::Relaxed) + counted > self.limits.total {
            self.exhausted.store(true, Ordering::Relaxed);
        }

        self.check_total()
    }

    /// Returns false if the reader is gone. Fails if the tenant's memory quota is used up.
    async fn send(&self, response: InferResponse, size: u64) -> Result<bool, QuotaExceeded> {
        let memory = self.charge(size)?;
        let Some(room) = self.room(size).await else { return Ok(false) };

        Ok(self.parts.send(Part { response, _room: room, _memory: memory }).is_ok())
    }

    /// Charges a part to the tenant's memory quota; idle instances make room. The smallest parts
    /// cost nothing, since the buffer holds few of them.
    fn charge(&self, size: u64) -> Result<QuotaGuard, QuotaExceeded> {
        let charged = if size > u64::from(MIN_PART_CHARGE) { size } else { 0 };
        loop {
            match self.tenant.take(Resource::Memory, charged) {
                Err(_) if self.tenant.reclaim() => {}
                outcome => return outcome,
            }
        }
    }

    fn check(&self, part: &InferResponse, size: u64) -> Result<(), InferError> {
        if size > self.limits.part {
            let limit = self.limits.part;
            return Err(InferError::OversizedOutput(format!(
                "a part of the answer has {size} bytes; the limit is {limit}"
            )));
        }

        self.metadata.check_part(part).map_err(InferError::BadOutput)
    }

    /// Reserves buffer space for a part of `size` bytes; `None` if the reader is gone.
    async fn room(&self, size: u64) -> Option<OwnedSemaphorePermit> {
        // A part larger than the buffer waits until the buffer is empty.
        let permits =
            u32::try_from(size).unwrap_or(BUFFER_SIZE).clamp(MIN_PART_CHARGE, BUFFER_SIZE);
        if let Ok(room) = self.room.clone().try_acquire_many_owned(permits) {
            return Some(room);
        }

        let _waiting = WaitingGuard::begin(&self.waiting);
        self.room.clone().acquire_many_owned(permits).await.ok()
    }
}

impl PartReceiver {
    /// Returns the next part if it is ready.
    pub fn try_next(&mut self) -> Option<InferResponse> {
        self.parts.try_recv().ok().map(|part| part.response)
    }

    /// Waits for the next part; `None` at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<InferResponse> {
        self.parts.recv().await.map(|part| part.response)
    }
}

impl Drop for PartReceiver {
    fn drop(&mut self) {
        self.room.close();
    }
}

impl Host for Ctx {
    async fn emit(&mut self, part: types::Response) -> wasmtime::Result<Result<(), EmitError>> {
        match &self.call.emitter {
            Some(emitter) if !self.loading => emitter
                .emit(part.into())
                .await
                .map_err(|reason| wasmtime::Error::new(HostAbort(reason))),
            _ => Ok(Err(EmitError::NotStreaming)),
        }
    }
}

impl HostCapability for Emitter {
    const IMPORTS: &'static [&'static str] = &["wardian:model/emitter"];

    fn add_to_linker<T: CtxView + WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        generated::wardian::model::emitter::add_to_linker::<T, HasCtx>(linker, |data| {
            data.ctx_mut()
        })
    }
}

/// Counts a guest as waiting until it is dropped.
struct WaitingGuard<'a>(&'a Gauge);

impl<'a> WaitingGuard<'a> {
    fn begin(gauge: &'a Gauge) -> Self {
        gauge.inc();
        WaitingGuard(gauge)
    }
}

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
