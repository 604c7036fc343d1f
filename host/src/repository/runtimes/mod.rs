//! Runtimes: components that serve model files.
//!
//! A runtime declares in a custom section which files it is for ([`Declaration`]). Some are
//! embedded in the program. An operator's own, in a watched folder
//! ([`RuntimeFolder`](super::RuntimeFolder)), are added to them or replace those of the same name.
//! All of them together are the [`RuntimeCatalog`], which every scan asks for the runtime of a
//! model file. [`Runtimes`] holds the present one.

mod catalog;
mod declaration;
mod shared;

pub(super) use catalog::Origin;
#[cfg(test)]
pub(super) use catalog::test_runtime;
pub use catalog::{Runtime, RuntimeCatalog};
pub use declaration::Declaration;
pub(super) use declaration::is_reserved_extension;
pub use shared::Runtimes;
