//! Text that a model writes: the output that holds it, and the stop sequences that end it.

mod filter;
mod output;
mod stop_sequences;

pub(super) use filter::TextFilter;
pub(super) use output::text_output;
pub(super) use stop_sequences::{StopSequences, read_stop};
