//! Responses in parts, from within [`Streaming::infer_stream`](crate::Streaming::infer_stream).

use std::fmt;

use crate::{Error, Response};

/// The reason why a part was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmitError {
    /// The caller has disconnected.
    Gone,
    /// The parts have reached their limit, which the text names.
    Limit(String),
    /// The present call does not stream.
    NotStreaming,
}

/// Sends one part of the response: any of the outputs in the metadata. Waits while the reader is
/// slow.
///
/// # Errors
/// [`EmitError::Gone`] if the caller has disconnected, [`EmitError::Limit`] if the parts have
/// reached their limit: in both cases the model should return. [`EmitError::NotStreaming`] if the
/// present call does not stream.
pub fn emit(part: Response) -> Result<(), EmitError> {
    imp::emit(part)
}

/// Runs a function that emits parts and returns them, for a model's own tests.
#[cfg(not(target_family = "wasm"))]
pub fn collect<T>(work: impl FnOnce() -> T) -> (Vec<Response>, T) {
    imp::collect(work)
}

/// Makes `emit(part)?` end the call.
impl From<EmitError> for Error {
    fn from(error: EmitError) -> Self {
        Error::failed(error)
    }
}

impl fmt::Display for EmitError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EmitError::Gone => out.write_str("the client does not read the response any more"),
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
    fn parts_can_be_emitted_only_while_collected() {
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
