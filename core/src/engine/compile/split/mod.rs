//! Splitting a component into code, which models can share, and the state of one model.
//!
//! The **code** is the component itself with two changes: its main core module imports its memory
//! in place of defining it, and has no data segments. The **state** is a core module that defines
//! the memory and holds the data. The code imports the state, so one compiled copy of the code
//! serves every model whose component differs in its data alone, or not at all.
//!
//! The same code runs `load` and answers requests: before `load` its state holds the component's
//! own data, and after it the memory as `load` left it. Functions are added to the code, through
//! which the host reads that memory ([`LoadedState`]), and resets an instance for another call.
//!
//! A component is split only if nothing but its memory can differ after `load`. Where that is not
//! certain, [`SplitComponent::new`] or [`check_instructions`] refuses with the reason, and the
//! component is compiled whole.

mod component;
mod core_module;
mod instructions;
mod loaded_state;
mod state_module;

#[cfg(test)]
mod tests;

pub(super) use component::SplitComponent;
pub(super) use instructions::check_instructions;
pub(super) use loaded_state::LoadedState;

/// The name under which the code imports the state, in the component and in its main core module.
pub(in crate::engine) const STATE: &str = "wardian-state";

/// The name of the memory that the state exports.
const MEMORY: &str = "memory";

/// Exports of the code through which the host reads the state.
const READ_HEAD: &str = "wardian-read-head";
const READ_MEMORY: &str = "wardian-read-memory";
const READ_GLOBAL: &str = "wardian-read-global";

/// The reason why a component cannot be split.
pub(super) type Refusal = String;

fn malformed(error: wasmparser::BinaryReaderError) -> Refusal {
    format!("it cannot be read: {error}")
}
