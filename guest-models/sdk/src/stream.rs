//! Answering in parts, from within [`Streaming::infer_stream`](crate::Streaming::infer_stream).

use std::fmt;

use crate::{Error, Response};

/// Why a part of an answer was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmitError {
    /// Nobody reads the answer any more.
    Gone,
    /// The parts have come to the limit of their bytes, which the text names.
    Limit(String),
    /// The present call is not to answer in parts.
    NotStreaming,
}

/// Sends one part of the answer: any of the outputs that the metadata names. Waits while whoever
/// reads it is slow.
///
/// # Errors
/// [`EmitError::Gone`] if nobody reads any more, [`EmitError::Limit`] if the parts have come to
/// their limit: in both cases there is nothing left to do but to return.
/// [`EmitError::NotStreaming`] if the present call is not to answer in parts.
pub fn emit(part: Response) -> Result<(), EmitError> {
    imp::emit(part)
}

/// Runs what emits parts and gives them, for a model's own tests: natively nobody else takes them.
#[cfg(not(target_family = "wasm"))]
pub fn collect<T>(work: impl FnOnce() -> T) -> (Vec<Response>, T) {
    imp::collect(work)
}

/// So that `emit(part)?` ends the call.
impl From<EmitError> for Error {
    fn from(error: EmitError) -> Self {
        Error::failed(error)
    }
}

impl fmt::Display for EmitError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EmitError::Gone => out.write_str("nobody reads the answer any more"),
            EmitError::Limit(limit) => write!(out, "the answer has come to its limit: {limit}"),
            EmitError::NotStreaming => out.write_str("this call is not to answer in parts"),
        }
    }
}

impl std::error::Error for EmitError {}

#[cfg(target_family = "wasm")]
mod imp {
    use super::{EmitError, Response};
    use crate::bindings::model::wardian::model::emitter;

    pub(super) fn emit(part: Response) -> Result<(), EmitError> {
        emitter::emit(&part).map_err(|error| match error {
            emitter::EmitError::Gone => EmitError::Gone,
            emitter::EmitError::Limit(limit) => EmitError::Limit(limit),
            emitter::EmitError::NotStreaming => EmitError::NotStreaming,
        })
    }
}

#[cfg(not(target_family = "wasm"))]
mod imp {
    use std::cell::RefCell;

    use super::{EmitError, Response};

    thread_local! {
        static PARTS: RefCell<Option<Vec<Response>>> = const { RefCell::new(None) };
    }

    pub(super) fn emit(part: Response) -> Result<(), EmitError> {
        PARTS.with_borrow_mut(|parts| {
            parts.as_mut().map(|parts| parts.push(part)).ok_or(EmitError::NotStreaming)
        })
    }

    pub(super) fn collect<T>(work: impl FnOnce() -> T) -> (Vec<Response>, T) {
        PARTS.set(Some(Vec::new()));
        let outcome = work();
        (PARTS.take().unwrap_or_default(), outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::{EmitError, collect, emit};
    use crate::{Response, Tensor};

    #[test]
    fn parts_are_collected_and_only_then() {
        let part = |text: &str| Response::new().output(Tensor::from_strings("text", [1], [text]));
        assert!(matches!(emit(part("a")), Err(EmitError::NotStreaming)));
        let (parts, outcome) = collect(|| emit(part("b")).and_then(|()| emit(part("c"))));
        assert!(outcome.is_ok());
        let texts: Vec<_> =
            parts.iter().flat_map(|part| part.outputs[0].strings().unwrap()).collect();
        assert_eq!(texts, ["b", "c"]);
        let error = emit(part("d")).unwrap_err();
        assert_eq!(error.to_string(), "this call is not to answer in parts");
    }
}
