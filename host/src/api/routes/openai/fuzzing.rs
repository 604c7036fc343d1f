//! Properties that hold for arbitrary bytes read as a request of OpenAI's API.

use axum::body::Bytes;

use super::embeddings::EmbeddingsCodec;
use super::named_model;
use super::text::{Kind, TextCodec};
use crate::api::unary::Decode;
use crate::fuzzing::check_text;
use crate::model::{Datatype, Metadata, Parameter, ParameterValue, TensorSpec};
use crate::tenant::Pacer;

/// Checks a request to one of several models. The first byte chooses the model and the route, the
/// rest is the body. An accepted request has one valid input, which the model would take and which
/// is not much larger than the body.
pub fn openai(bytes: &[u8]) {
    let Some((&choice, body)) = bytes.split_first() else { return };
    let models = models();
    let metadata = &models[usize::from(choice >> 2) % models.len()];
    let body = Bytes::copy_from_slice(body);

    if let Err(refusal) = named_model::model(&body, &Pacer::unmetered()) {
        check_text(&refusal, 4000);
    }

    match choice & 3 {
        0 => check(&EmbeddingsCodec, metadata, &body),
        1 => check(&TextCodec(Kind::Completion), metadata, &body),
        _ => check(&TextCodec(Kind::Chat), metadata, &body),
    }
}

fn check(codec: &impl Decode, metadata: &Metadata, body: &Bytes) {
    let decoded = match codec.decode(metadata, body, &Pacer::unmetered()) {
        Ok((decoded, _)) => decoded,
        Err(refusal) => return check_text(&refusal, 4000),
    };

    let inputs = &decoded.request.inputs;
    assert_eq!(inputs.len(), 1);
    assert_eq!(inputs[0].check(), Ok(()));
    assert_eq!(metadata.check_request(&decoded.request), Ok(()));

    let held = inputs[0].data.len();
    assert!(held <= 8 * body.len() + 64, "{held} bytes of data from {}", body.len());
}

fn models() -> Vec<Metadata> {
    let spec = |name: &str, datatype, shape: &[i64]| TensorSpec {
        name: name.into(),
        datatype,
        shape: shape.into(),
        optional: false,
    };
    let model = |input: &str, shape: &[i64]| Metadata {
        inputs: vec![spec(input, Datatype::Bytes, shape)],
        outputs: vec![
            spec("text_output", Datatype::Bytes, &[1]),
            spec("embedding", Datatype::Fp32, &[-1, 4]),
        ],
        properties: ["max_tokens", "seed", "tags"]
            .map(|name| Parameter { name: name.into(), value: ParameterValue::Boolean(true) })
            .into_iter()
            .collect(),
        ..Metadata::default()
    };

    vec![model("text_input", &[-1]), model("messages", &[1]), model("prompt", &[-1, 1])]
}
