//! A graph that is ready to run.

/// The kernels of a graph in the order in which they run.
pub(crate) struct Program;
