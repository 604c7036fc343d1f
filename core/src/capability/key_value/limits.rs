//! Limits of an instance and of a call.

/// The most handles of an instance; a model needs a few.
pub(super) const MAX_HANDLES: usize = 100;

/// The most operations of one call, however fast they are. Its deadline limits slow ones.
pub(super) const MAX_OPERATIONS: u32 = 10_000;
