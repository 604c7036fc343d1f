//! Computing in the guest's memory.
//!
//! A host function gets its parameters as values, and its result becomes a value again. The only
//! place at which the component model's implementation hands out the guest's memory for writing is
//! the one that stores a result there. So a call returns a [`Computed`], which computes when it is
//! stored, and then stores the outcome.
#![expect(unsafe_code, reason = "implements wasmtime's unsafe traits by delegation")]

use std::mem::MaybeUninit;
use std::sync::Arc;

use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext,
};
use wasmtime::component::{ComponentType, Lower};

use super::bindings::wardian::kernels::arithmetic::Failure;
use super::{CallHelpers, Operation, Outcome, UncheckedTime};

/// The outcome of a call that has yet to be computed.
pub(super) struct Computed<O> {
    pub(super) operation: O,
    pub(super) start: u64,
    pub(super) granted: bool,
    pub(super) helpers: Option<CallHelpers>,
    pub(super) unchecked: Arc<UncheckedTime>,
}

impl<O: Operation> Computed<O> {
    fn compute(&self, memory: &mut [u8]) -> Outcome {
        // The interface has the numbers of wasm, which are little-endian.
        if !self.granted || cfg!(target_endian = "big") {
            return Err(Failure::NotGranted);
        }
        self.unchecked.run(self, memory)
    }
}

// SAFETY: everything that the traits promise is that of `Outcome`, which stands for the value in
// the component model. A `Computed` is never stored in any other way than as an `Outcome`, by its
// own implementation, with the type and the place that it was given. What happens before touches
// the guest's memory through a mutable slice and nothing else.
unsafe impl<O: Operation> ComponentType for Computed<O> {
    type Lower = <Outcome as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = <Outcome as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        Outcome::typecheck(ty, types)
    }
}

// SAFETY: as above.
unsafe impl<O: Operation> Lower for Computed<O> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        to: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        let outcome = self.compute(cx.as_slice_mut());
        outcome.linear_lower_to_flat(cx, ty, to)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        let outcome = self.compute(cx.as_slice_mut());
        outcome.linear_lower_to_memory(cx, ty, offset)
    }
}
