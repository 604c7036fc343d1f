//! Access to the memory of an instance in between two calls.
//!
//! The component model's implementation hands out the memory for writing while it passes a
//! parameter. So the parameter of the function that resets an instance is a [`Step`], which works
//! on the memory when it is passed, and arrives as a number.
#![expect(unsafe_code, reason = "implements wasmtime's unsafe traits by delegation")]

use std::mem::MaybeUninit;
use std::sync::Arc;

use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext,
};
use wasmtime::component::{ComponentType, Lower};

use super::MAX_PAGES;
use super::originals::Originals;
use super::written_pages::PageMap;

/// Work on the memory of an instance.
pub(in crate::engine) enum Step {
    /// Copies originals from an instance that has not been called.
    Copy { originals: Arc<Originals>, page_map: PageMap },
    /// Copies the originals over the written pages.
    Restore { originals: Arc<Originals>, page_map: PageMap },
}

/// The number that stands for a memory that could not be restored.
pub(super) const NOT_RESTORED: i32 = -1;

impl Step {
    /// Returns the number of restored pages, or [`NOT_RESTORED`].
    fn run(&self, memory: &mut [u8]) -> i32 {
        match self {
            Step::Copy { originals, page_map } => {
                originals.copy_from(memory, page_map.page_size());
                0
            }
            Step::Restore { originals, page_map } => {
                let Some(written) = page_map.written_pages(memory, MAX_PAGES) else {
                    originals.record_miss();
                    return NOT_RESTORED;
                };
                let restored = originals.restore(memory, &written, page_map.page_size());
                restored.and_then(|pages| i32::try_from(pages).ok()).unwrap_or(NOT_RESTORED)
            }
        }
    }
}

// SAFETY: everything that the traits promise is that of `i32`, which stands for the value in the
// component model. A `Step` is never passed in any other way than as an `i32`, by its own
// implementation, with the type and the place that it was given. What happens before touches the
// guest's memory through a mutable slice and nothing else.
unsafe impl ComponentType for Step {
    type Lower = <i32 as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = <i32 as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        i32::typecheck(ty, types)
    }
}

// SAFETY: as above.
unsafe impl Lower for Step {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        to: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        let number = self.run(cx.as_slice_mut());
        number.linear_lower_to_flat(cx, ty, to)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        let number = self.run(cx.as_slice_mut());
        number.linear_lower_to_memory(cx, ty, offset)
    }
}
