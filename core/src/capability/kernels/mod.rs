//! `wardian:kernels/arithmetic`: products of matrices, convolutions and softmax, in the guest's
//! memory.
//!
//! A guest names ranges of its own memory. They are compared with its size and with each other, and
//! the crate `wardian_kernels` computes on the slices; the host's other memory is out of reach.
//!
//! A call is bounded: it stops after [`MOST_TIME`] and returns the position at which the next one
//! continues. Between two calls the guest is interrupted as everywhere else: by the epoch clock, at
//! the next loop or function. Calls without either in between are interrupted here: a call that
//! begins when the calls before have used up a time slice ends that slice first.
//!
//! The CPU time is that of the guest's thread, and is charged like the guest's own.
//!
//! A call that runs in a turn may have [helpers](Helpers): other threads that take turns which are
//! free. They compute in the same borrowed memory, and have ended when the call returns.

mod convert;
mod lower;
mod memory;
mod operations;
mod team;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wardian_kernels::Team;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentNamedList, Lift, Linker};
use wasmtime_wasi::WasiView;

use super::{Ctx, CtxView, HostCapability};
use crate::tenant::CpuMeter;
pub use team::KernelGrant;

use bindings::wardian::kernels::arithmetic::Failure;
use lower::Computed;
use operations::{
    Convolution, FilterPacking, IntegerMatrixPacking, IntegerProduct, MatrixPacking, Product,
    Softmax, packed_filters_size, packed_integer_matrix_size, packed_matrix_size,
};
use team::{CallHelpers, CallTeam};

mod bindings {
    #![allow(missing_docs, unreachable_pub, dead_code, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package wardian:host;
            world kernels {
                import wardian:kernels/arithmetic@0.1.0;
            }
        ",
        world: "wardian:host/kernels",
    });
}

/// The interface with its version.
const INTERFACE: &str = "wardian:kernels/arithmetic@0.1.0";

/// The time after which a call stops, between two pieces of work of a tenth of a millisecond.
const MOST_TIME: Duration = Duration::from_micros(500);

/// The time of calls after which a time slice, of a millisecond, may have ended.
const SLICE: Duration = Duration::from_millis(1);

/// The calls of an instance.
#[derive(Default)]
pub(super) struct Kernels {
    /// The time of the calls since the last check of the guest's time slice. Created at first use.
    unchecked: Option<Arc<UncheckedTime>>,
    /// The CPU time of the helpers.
    helpers_meter: CpuMeter,
}

/// Nanoseconds of calls. Shared with the result of a call, which is computed while it is returned
/// to the guest, where the context of the instance is out of reach.
#[derive(Default)]
struct UncheckedTime(AtomicU64);

/// The result of a call: the position at which to continue, or `None` at the end.
type Outcome = Result<Option<u64>, Failure>;

/// A call, with its operands in the guest's memory.
trait Operation: Sized + Send + Sync + 'static {
    /// The parameters of the function.
    type Parameters: ComponentNamedList + Lift + Send + 'static;

    /// Returns the call with these parameters, and the position to start at.
    fn new(parameters: Self::Parameters) -> (Self, u64);

    /// Computes in the guest's memory, from the position `start`.
    fn run(&self, memory: &mut [u8], start: u64, team: &mut dyn Team) -> Outcome;
}

impl UncheckedTime {
    /// Runs a call for as long as one may take.
    fn run<O: Operation>(&self, call: &Computed<O>, memory: &mut [u8]) -> Outcome {
        let began = Instant::now();
        let mut team = CallTeam::new(began, call.helpers.as_ref());
        let outcome = call.operation.run(memory, call.start, &mut team);
        self.0.fetch_add(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
        outcome
    }
}

impl Ctx {
    /// Forgets the time of calls, when the guest's time slice has been looked at.
    pub fn forget_kernel_time(&mut self) {
        if let Some(unchecked) = &self.kernels.unchecked {
            unchecked.0.store(0, Ordering::Relaxed);
        }
    }

    /// CPU time of the helpers of calls, since this function was last called.
    pub fn take_helper_cpu_time(&self) -> Duration {
        self.kernels.helpers_meter.take()
    }

    fn unchecked_kernel_time(&mut self) -> &Arc<UncheckedTime> {
        self.kernels.unchecked.get_or_insert_default()
    }
}

/// Ends the guest's time slice if its calls may have used it up.
async fn end_time_slice<T: CtxView>(store: &mut StoreContextMut<'_, T>) -> wasmtime::Result<()> {
    let unchecked = store.data_mut().ctx_mut().unchecked_kernel_time();
    if unchecked.0.load(Ordering::Relaxed) < SLICE.as_nanos() as u64 {
        return Ok(());
    }

    if let Some(next_slice) = store.data_mut().end_time_slice()? {
        next_slice.await;
    }
    Ok(())
}

impl HostCapability for Kernels {
    const IMPORTS: &'static [&'static str] = &["wardian:kernels/arithmetic"];

    fn add_to_linker<T: CtxView + WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        add::<T, Product>(linker, "matmul")?;
        add::<T, MatrixPacking>(linker, "pack-matrix")?;
        add::<T, IntegerProduct>(linker, "integer-matmul")?;
        add::<T, IntegerMatrixPacking>(linker, "pack-integer-matrix")?;
        add::<T, Convolution>(linker, "conv2d")?;
        add::<T, FilterPacking>(linker, "pack-filters")?;
        add::<T, Softmax>(linker, "softmax")?;

        let mut functions = linker.instance(INTERFACE)?;
        functions
            .func_wrap("packed-matrix-size", |_, (packing,)| Ok((packed_matrix_size(packing),)))?;
        functions.func_wrap("packed-integer-matrix-size", |_, (packing,)| {
            Ok((packed_integer_matrix_size(packing),))
        })?;
        functions.func_wrap("packed-filters-size", |_, (shape,)| Ok((packed_filters_size(shape),)))
    }
}

/// Links the function of an operation.
fn add<T: CtxView, O: Operation>(linker: &mut Linker<T>, name: &str) -> wasmtime::Result<()> {
    linker.instance(INTERFACE)?.func_wrap_async(name, call::<T, O>)
}

/// Begins a call. Its result is computed when it is returned to the guest.
fn call<T: CtxView, O: Operation>(
    mut store: StoreContextMut<'_, T>,
    parameters: O::Parameters,
) -> Box<dyn Future<Output = wasmtime::Result<(Computed<O>,)>> + Send + '_> {
    Box::new(async move {
        end_time_slice(&mut store).await?;

        let helpers = call_helpers(&mut store);
        let ctx = store.data_mut().ctx_mut();
        let unchecked = ctx.unchecked_kernel_time().clone();
        let granted = ctx.grants.kernels.is_some();
        let (operation, start) = O::new(parameters);
        Ok((Computed { operation, start, granted, helpers, unchecked },))
    })
}

/// Returns the helpers that a call may have. One that has not taken a turn yet has none: its thread
/// serves HTTP, and must not wait for threads of idle priority.
fn call_helpers<T: CtxView>(store: &mut StoreContextMut<'_, T>) -> Option<CallHelpers> {
    let share = store.data().share_in_turn()?.clone();
    let ctx = store.data_mut().ctx_mut();
    ctx.grants.kernels.as_ref()?.helpers(&share, &ctx.kernels.helpers_meter)
}

/// The future that a call awaits at the end of its time slice.
pub type NextSlice = Pin<Box<dyn Future<Output = ()> + Send>>;
