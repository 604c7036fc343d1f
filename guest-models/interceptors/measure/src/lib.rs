//! Measures every call: the time from here to the model and back, and the bytes in both directions.
//!
//! The later it comes in the order of names, the less time of other interceptors it includes. The
//! unit is milliseconds, because the host's clock for guests has no finer resolution.

use std::time::{SystemTime, UNIX_EPOCH};

use wardian_sdk::interceptor::{Context, Interceptor, Rejection};
use wardian_sdk::{Request, Response, Tensor, values};

/// The name of the value in which `before_call` stores the time and the bytes of the inputs.
const NOTE: &str = "measure";

#[derive(Default)]
struct Measure;

impl Interceptor for Measure {
    fn before_call(&self, context: &Context, request: Request) -> Result<Request, Rejection> {
        let note = format!("{} {}", now(), bytes(&request.inputs));
        // Without the value there is no measurement, and the caller still gets its response.
        if let Err(error) = values::set(NOTE, &note) {
            wardian_sdk::warn!("{} is not measured: {error:?}", context.model);
        }
        Ok(request)
    }

    fn after_call(&self, context: &Context, response: Response) -> Response {
        let Some(Note { began, bytes_in }) = values::get(NOTE).and_then(|note| Note::read(&note))
        else {
            return response;
        };
        // The clock may be set back meanwhile.
        let took = now().saturating_sub(began);
        let (model, version, bytes_out) =
            (&context.model, context.version, bytes(&response.outputs));
        wardian_sdk::info!(
            "{model} version {version} took {took} ms, {bytes_in} bytes in, {bytes_out} bytes out"
        );
        response.parameter("measured_ms", i64::try_from(took).unwrap_or(i64::MAX))
    }
}

struct Note {
    began: u64,
    bytes_in: u64,
}

impl Note {
    fn read(text: &str) -> Option<Note> {
        let (began, bytes_in) = text.split_once(' ')?;
        Some(Note { began: began.parse().ok()?, bytes_in: bytes_in.parse().ok()? })
    }
}

/// Returns the milliseconds since 1970. An `Instant` of one instance has no meaning in another.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn bytes(tensors: &[Tensor]) -> u64 {
    tensors.iter().map(|tensor| tensor.data.len() as u64).sum()
}

wardian_sdk::export_interceptor!(Measure);

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        let (tenant, model) = ("default".into(), "upper".into());
        Context { tenant, model, version: 1, request_id: "r".into(), key: String::new() }
    }

    #[test]
    fn a_call_with_a_note_is_measured() -> Result<(), Rejection> {
        let inputs = vec![Tensor::from_strings("text", [1], ["hello"])];
        let request = Request { id: String::new(), parameters: vec![], inputs, outputs: vec![] };
        assert!(Measure.after_call(&context(), Response::new()).parameters.is_empty());
        let same = Measure.before_call(&context(), request)?;
        assert_eq!(bytes(&same.inputs), 9);
        let answer = Measure.after_call(&context(), Response::new());
        let measured = answer.parameters.first().and_then(|parameter| parameter.value.as_integer());
        assert!(measured.is_some_and(|took| took >= 0), "{:?}", answer.parameters);
        Ok(())
    }

    #[test]
    fn an_invalid_note_is_ignored() {
        for text in ["", "1", "1 ", " 1", "a b", "1 2 3", "-1 2"] {
            assert!(Note::read(text).is_none(), "{text:?}");
        }
    }
}
