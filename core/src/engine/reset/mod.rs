//! Resetting an instance after its call, so that the next request gets one that is as good as new.
//!
//! Making an instance takes longer than a short call: wasmtime links all modules and imports of
//! the component anew. An instance of split code can be reset instead, because nothing but its
//! memory and the numbers in its global variables can differ from those of a new one; the
//! component is compiled whole if more can ([`split`](super::compile)). Two steps reset it:
//!
//! 1. Every page of the memory that has been written is copied back from the original. The kernel
//!    lists these pages ([`written_pages`]); they stay present, so later calls write to them
//!    without a page fault.
//! 2. A function that was added to the code sets the global variables.
//!
//! Everything else that a call can leave behind rules a reset out, and the instance is dropped: a
//! call that did not return, a memory that has grown, and handles of host resources, which
//! [`Ctx::may_have_had_handles`](crate::capability::Ctx::may_have_had_handles) shows. The host's
//! own state of an instance is made anew.
//!
//! The original of a page is copied from a new instance, before its first call, once an earlier
//! instance has written to that page. So a model holds the originals of the few pages that its
//! calls write, and a model whose calls write to more than [`MAX_PAGES`] is not reset at all.

mod originals;
mod restore;
mod written_pages;

use std::sync::Arc;

use wasmtime::component::{Component, ComponentExportIndex, Instance, TypedFunc};
use wasmtime::{Store, error::Context};

use self::originals::Originals;
use self::restore::{NOT_RESTORED, Step};
use self::written_pages::PageMap;
use super::bindings::RESET;
use super::store_state::State;

/// The most pages that are restored after a call: 256 KiB. An instance whose calls write to more
/// spends most of its time elsewhere.
const MAX_PAGES: usize = 64;

/// Resets the instances of one code. Shared by all of them.
pub(super) struct Resetter {
    function: ComponentExportIndex,
    page_map: PageMap,
    originals: Arc<Originals>,
}

/// The function that resets one instance.
pub(super) type ResetFunction = TypedFunc<(Step,), (i32,)>;

impl Resetter {
    /// Returns `None` if the component was compiled whole, or the kernel cannot list written pages.
    pub(super) fn new(component: &Component) -> Option<Self> {
        let function = component.get_export_index(None, RESET)?;
        Some(Resetter { function, page_map: PageMap::open()?, originals: Arc::default() })
    }

    /// True if a new instance should give originals before its first call.
    pub(super) fn needs_originals(&self) -> bool {
        self.originals.are_wanted()
    }

    /// Copies the originals that are wanted from an instance that has not been called.
    pub(super) async fn copy_originals(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> wasmtime::Result<()> {
        let function = self.function(store, instance)?;
        let step =
            Step::Copy { originals: self.originals.clone(), page_map: self.page_map.clone() };
        self.call(store, &function, step).await.map(drop)
    }

    /// Looks up the function in an instance.
    pub(super) fn function(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> wasmtime::Result<ResetFunction> {
        instance.get_typed_func(store, self.function).context("the function that resets")
    }

    /// Resets an instance whose memory has not grown. Returns false if it could not be reset; it
    /// must be dropped then.
    pub(super) async fn reset(&self, store: &mut Store<State>, function: &ResetFunction) -> bool {
        if self.originals.are_hopeless() {
            return false;
        }

        let step =
            Step::Restore { originals: self.originals.clone(), page_map: self.page_map.clone() };
        self.call(store, function, step).await.is_ok_and(|restored| restored != NOT_RESTORED)
    }

    async fn call(
        &self,
        store: &mut Store<State>,
        function: &ResetFunction,
        step: Step,
    ) -> wasmtime::Result<i32> {
        // The function is the host's own and has no loop.
        store.set_epoch_deadline(u64::MAX / 2);
        let (restored,) = function.call_async(store, (step,)).await?;
        Ok(restored)
    }
}
