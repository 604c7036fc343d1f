//! Properties that hold for arbitrary bytes read as the body of a call.

use axum::body::{Body, Bytes};
use futures_util::{FutureExt, stream};
use prost::Message;

use super::frames::{self, MessageReader};
use super::messages::{ModelInferRequest, ModelInferResponse};
use super::request::{self, Form};
use super::response::{self, Envelope};
use super::target;
use crate::api::http::compression::ContentCoding;
use crate::api::oip::fuzzing::model;
use crate::api::oip::request_json::{DecodedRequest, MAX_TENSORS};
use crate::fuzzing::check_text;
use crate::model::{Datatype, InferError, InferResponse, MAX_PARAMETERS, Tensor};
use crate::tenant::Pacer;

/// Checks the body of a call. The first byte tells the size of the pieces in which the rest
/// arrives. The messages do not depend on the pieces, and every message that is accepted as a
/// request agrees with another library's decoder and survives a round trip through the encoder.
pub fn grpc(bytes: &[u8]) {
    let Some((&size, call)) = bytes.split_first() else { return };
    let (expected, is_whole) = split(call);

    let mut messages = Vec::new();
    let end = now(read(arriving(call, usize::from(size) + 1), &mut messages));
    assert!(messages.iter().map(|(flag, message)| (*flag, &message[..])).eq(expected));
    assert_eq!(end.is_ok(), is_whole);
    check_error(end);

    for (compressed, message) in messages {
        find_target(&message, compressed);
        check_message(&message);
    }
}

/// Returns a reader of bytes that arrive in pieces.
fn arriving(bytes: &[u8], size: usize) -> MessageReader {
    let pieces: Vec<_> = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
    let pieces = pieces.into_iter().map(Ok::<_, axum::Error>);
    MessageReader::new(Body::from_stream(stream::iter(pieces)))
}

/// Runs work that never waits.
fn now<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().unwrap_or_else(|| panic!("it waits, although all bytes have arrived"))
}

async fn read(
    mut reader: MessageReader,
    messages: &mut Vec<(bool, Bytes)>,
) -> Result<(), InferError> {
    while let Some(prefix) = reader.next().await? {
        let message = reader.short_message(prefix.length).await?;
        messages.push((prefix.compressed, message));
    }
    Ok(())
}

/// Returns the whole messages of a call, and true if nothing is wrong behind them.
fn split(mut rest: &[u8]) -> (Vec<(bool, &[u8])>, bool) {
    let mut messages = Vec::new();

    while let Some((&[flag, length @ ..], after)) = rest.split_first_chunk::<{ frames::PREFIX }>() {
        let message = after.split_at_checked(u32::from_be_bytes(length) as usize);
        let (0 | 1, Some((message, after))) = (flag, message) else { return (messages, false) };
        messages.push((flag == 1, message));
        rest = after;
    }

    (messages, rest.is_empty())
}

fn check_error<T>(outcome: Result<T, InferError>) {
    if let Err(error) = outcome {
        check_text(&error.to_string(), 1500);
    }
}

/// Looks for the model in the beginning of a message.
fn find_target(message: &[u8], compressed: bool) {
    let coding = compressed.then_some(ContentCoding::Gzip);
    let found = now(async {
        let framed = frames::whole(message.to_vec(), compressed)?;
        let mut reader = arriving(&framed, 100);
        let prefix = reader.next().await?.unwrap_or_else(|| panic!("there is a message"));
        target::read(&mut reader, prefix, coding).await
    });

    match found {
        Ok(path) => assert!(!path.model.is_empty() && path.version.as_deref() != Some("")),
        refused => check_error(refused),
    }
}

fn check_message(message: &Bytes) {
    let decoded = request::decode(message, &Pacer::unmetered());
    let (decoded, form) = match decoded {
        Ok(decoded) => decoded,
        Err(refusal) => return check_text(&refusal, 1500),
    };

    check_bounds(&decoded, &form, message.len());
    if let Ok(theirs) = ModelInferRequest::decode(message.clone()) {
        agree(&decoded, &theirs);
    }

    let inputs = &decoded.request.inputs;
    come_back(inputs, true);
    // The bits of a NaN may change where numbers are copied.
    if !inputs.iter().any(has_nan) {
        come_back(inputs, false);
    }
}

fn check_bounds(decoded: &DecodedRequest, form: &Form, sent: usize) {
    let request = &decoded.request;
    assert!(request.inputs.len() <= MAX_TENSORS && request.outputs.len() <= MAX_TENSORS);
    assert!(request.parameters.len() <= MAX_PARAMETERS);
    assert!(request.outputs.iter().eq(form.outputs.requested.iter().map(|output| &output.name)));

    for tensor in &request.inputs {
        assert_eq!(tensor.check(), Ok(()));
    }

    // One byte of a packed integer is an element of 8 bytes.
    let held: usize = request.inputs.iter().map(|tensor| tensor.data.len()).sum();
    assert!(held <= 8 * sent, "{held} bytes of data from {sent}");
}

/// Checks that a request matches what another library reads from the same bytes.
fn agree(ours: &DecodedRequest, theirs: &ModelInferRequest) {
    assert_eq!(ours.request.id, theirs.id);
    assert_eq!(ours.request.inputs.len(), theirs.inputs.len());
    assert!(ours.request.outputs.iter().eq(theirs.outputs.iter().map(|output| &output.name)));

    for (tensor, said) in ours.request.inputs.iter().zip(&theirs.inputs) {
        assert_eq!((&tensor.name, tensor.datatype.name()), (&said.name, &*said.datatype));
        let shape = tensor.shape.iter().map(|dimension| dimension.cast_signed());
        assert!(shape.eq(said.shape.iter().copied()));
    }

    let tensors = ours.request.inputs.iter().map(|tensor| &tensor.data[..]);
    if !theirs.raw_input_contents.is_empty() {
        assert!(tensors.eq(theirs.raw_input_contents.iter().map(|raw| &raw[..])));
    }
}

/// Checks that a response with these tensors can be encoded and then decoded as a request.
fn come_back(tensors: &[Tensor], raw: bool) {
    let answer = InferResponse { outputs: tensors.into(), ..InferResponse::default() };
    let form = Form { raw, ..Form::default() };
    let encoded =
        response::encode(&model(), "", &answer, &form, Envelope::None, &Pacer::unmetered())
            .unwrap_or_else(|stopped| panic!("{stopped}"));
    let answer = ModelInferResponse::decode(&encoded[..])
        .unwrap_or_else(|error| panic!("another library does not read it: {error}"));

    // An answer has the fields of a request.
    let request = ModelInferRequest {
        inputs: answer.outputs,
        raw_input_contents: answer.raw_output_contents,
        ..ModelInferRequest::default()
    };
    let read = request::decode(&request.encode_to_vec().into(), &Pacer::unmetered());
    assert_eq!(read.map(|(read, _)| read.request.inputs).as_deref(), Ok(tensors));
}

fn has_nan(tensor: &Tensor) -> bool {
    let (singles, doubles) = (tensor.data.as_chunks().0, tensor.data.as_chunks().0);
    match tensor.datatype {
        Datatype::Fp32 => singles.iter().any(|bytes| f32::from_le_bytes(*bytes).is_nan()),
        Datatype::Fp64 => doubles.iter().any(|bytes| f64::from_le_bytes(*bytes).is_nan()),
        _ => false,
    }
}
