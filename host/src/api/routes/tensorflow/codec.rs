//! The bodies of `:predict`, `:classify` and `:regress`.

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};

use super::path::Verb;
use super::results;
use crate::api::http::content_type;
use crate::api::json::{JsonError, Reader, write_string};
use crate::api::oip::request_json::DecodedRequest;
use crate::api::oip::response_json::EncodedResponse;
use crate::api::routes::predict::{PredictBody, PredictRoute, open};
use crate::api::table::{
    Layout, PredictionWriter, Style, Table, TableBuilder, UnknownFields, build_table, is_single,
    read_examples,
};
use crate::api::unary::{Codec, Decode};
use crate::model::{InferError, InferRequest, InferResponse, Metadata};
use crate::servable::ServableHandle;
use crate::tenant::Pacer;

/// The wire format of one verb.
#[derive(Clone, Copy)]
pub(super) struct TensorflowCodec {
    verb: Verb,
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One entry for each row, under `predictions`.
    Rows(Layout),
    /// Whole tensors, under `outputs`.
    Columns,
    /// Pairs of a label and a score for each row, under `results`.
    Classes(Layout),
    /// A number for each row, under `results`.
    Numbers(Layout),
}

impl TensorflowCodec {
    /// Fails if the content type is not supported.
    pub(super) fn from_headers(verb: Verb, headers: &HeaderMap) -> Result<Self, InferError> {
        content_type::JSON_ONLY.check(headers)?;
        Ok(TensorflowCodec { verb })
    }
}

impl Decode for TensorflowCodec {
    type Form = Form;

    fn decode(
        &self,
        metadata: &Metadata,
        body: &Bytes,
        pacer: &Pacer,
    ) -> Result<(DecodedRequest, Form), String> {
        match self.verb {
            Verb::Predict => decode_predict(metadata, body, pacer),
            Verb::Classify => {
                results::check_classifier(metadata)?;
                let (decoded, layout) = decode_examples(metadata, body, pacer)?;
                Ok((decoded, Form::Classes(layout)))
            }
            Verb::Regress => {
                results::check_regressor(metadata)?;
                let (decoded, layout) = decode_examples(metadata, body, pacer)?;
                Ok((decoded, Form::Numbers(layout)))
            }
        }
    }
}

impl Codec for TensorflowCodec {
    fn encode(
        &self,
        servable: &ServableHandle,
        _id: &str,
        response: &InferResponse,
        form: &Form,
        pacer: &Pacer,
    ) -> Result<EncodedResponse, InferError> {
        let limit = servable.settings().limits.response;
        let body = write(servable.metadata(), response, *form, limit, pacer)?;
        Ok(EncodedResponse { body, json_length: None })
    }

    fn set_headers(&self, headers: &mut HeaderMap, _json_length: Option<usize>) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
}

/// Decodes `{"instances": …}` or `{"inputs": …}`.
pub(super) fn decode_predict(
    metadata: &Metadata,
    body: &[u8],
    pacer: &Pacer,
) -> Result<(DecodedRequest, Form), String> {
    let envelope = match open(metadata, PredictRoute::Tensorflow, body, pacer)? {
        PredictBody::Table(envelope) => envelope,
        PredictBody::Inference => return Err("expected 'instances' or 'inputs'".into()),
    };

    let columns = envelope.is_inputs();
    let table = build_table(metadata, UnknownFields::Refused, body.len(), |table| {
        envelope.read(table).map_err(|error| error.to_string())
    })?;

    let mut decoded = DecodedRequest::default();
    decoded.take_server_parameters(envelope.into_parameters())?;
    let (decoded, layout) = with_inputs(decoded, table);

    Ok((decoded, if columns { Form::Columns } else { Form::Rows(layout) }))
}

const EXAMPLES_KEYS: &[&str] = &["signature_name", "context", "examples"];

/// Decodes `{"context": {…}, "examples": [{…}, …]}`.
pub(super) fn decode_examples(
    metadata: &Metadata,
    body: &[u8],
    pacer: &Pacer,
) -> Result<(DecodedRequest, Layout), String> {
    let table = build_table(metadata, UnknownFields::Refused, body.len(), |table| {
        read_body(body, pacer, table).map_err(|error| error.to_string())
    })?;

    Ok(with_inputs(DecodedRequest::default(), table))
}

fn read_body(body: &[u8], pacer: &Pacer, table: &mut TableBuilder<'_>) -> Result<(), JsonError> {
    let mut reader = Reader::paced(body, pacer)?.with_non_finite_words();
    let (mut context, mut examples) = (None, None);

    reader.object_with_keys(EXAMPLES_KEYS, |reader, key| {
        match key {
            "context" => context = Some(reader.clone()),
            "examples" => examples = Some(reader.clone()),
            _ => {}
        }
        reader.skip()
    })?;

    let mut examples = examples.ok_or_else(|| reader.error("expected 'examples'"))?;
    reader.expect_end()?;

    read_examples(&mut examples, context.as_ref(), table)
}

fn with_inputs(decoded: DecodedRequest, table: Table) -> (DecodedRequest, Layout) {
    let request = InferRequest { inputs: table.inputs, ..decoded.request };
    (DecodedRequest { request, ..decoded }, table.layout)
}

/// Writes an answer of a model whose response has at most `limit` bytes.
pub(super) fn write(
    metadata: &Metadata,
    response: &InferResponse,
    form: Form,
    limit: u64,
    pacer: &Pacer,
) -> Result<Vec<u8>, InferError> {
    let mut writer = PredictionWriter::new(Style::Nested, response, limit, pacer);
    match form {
        Form::Rows(layout) => {
            writer.out.extend_from_slice(b"{\"predictions\":");
            writer.write_rows(metadata, response, layout)?;
        }
        Form::Columns => {
            writer.out.extend_from_slice(b"{\"outputs\":");
            write_columns(&mut writer, metadata, response)?;
        }
        Form::Classes(layout) => {
            writer.out.extend_from_slice(b"{\"results\":");
            results::write_classes(&mut writer, metadata, response, layout)?;
        }
        Form::Numbers(layout) => {
            writer.out.extend_from_slice(b"{\"results\":");
            results::write_numbers(&mut writer, metadata, response, layout)?;
        }
    }
    writer.out.push(b'}');

    Ok(writer.out)
}

fn write_columns(
    writer: &mut PredictionWriter<'_>,
    metadata: &Metadata,
    response: &InferResponse,
) -> Result<(), InferError> {
    if is_single(metadata)
        && let [output] = response.outputs.as_slice()
    {
        return writer.write_tensor(output);
    }

    writer.out.push(b'{');
    for (index, output) in response.outputs.iter().enumerate() {
        if index > 0 {
            writer.out.push(b',');
        }
        write_string(&mut writer.out, &output.name);
        writer.out.push(b':');
        writer.write_tensor(output)?;
    }
    writer.out.push(b'}');

    Ok(())
}
