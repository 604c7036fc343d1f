//! The wire format of predictions: tables in, a list of rows out.

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};

use super::envelope::{self, Body, PredictRoute};
use crate::api::http::content_type::{self, AcceptedTypes};
use crate::api::oip::output_selection::OutputSelection;
use crate::api::oip::request_json::DecodedRequest;
use crate::api::oip::response_json::EncodedResponse;
use crate::api::routes::infer::InferCodec;
use crate::api::table::{
    Layout, PredictionWriter, Style, Table, UnknownFields, build_table, read_csv,
};
use crate::api::unary::{Codec, Decode};
use crate::model::{InferError, InferRequest, InferResponse, Metadata};
use crate::servable::ServableHandle;
use crate::tenant::Pacer;

/// The route, and the format of the request by its headers.
#[derive(Clone, Copy)]
pub(super) struct PredictCodec {
    route: PredictRoute,
    format: Format,
}

#[derive(Clone, Copy)]
enum Format {
    Json,
    Csv,
    /// Tensors of the Open Inference Protocol.
    Tensors(InferCodec),
}

/// The form of the answer.
#[derive(Debug)]
pub(super) enum PredictForm {
    Predictions(Layout),
    Inference(OutputSelection),
}

impl PredictCodec {
    /// Reads the format for `…/predict`. Fails if the content type is not supported.
    pub(super) fn for_predict(headers: &HeaderMap) -> Result<Self, InferError> {
        let format =
            if is_csv(&content_type::TABLES, headers)? { Format::Csv } else { Format::Json };
        Ok(PredictCodec { route: PredictRoute::Predict, format })
    }

    /// Reads the format for `/invocations`. Fails if the content type is not supported.
    pub(super) fn for_invocations(headers: &HeaderMap) -> Result<Self, InferError> {
        let format = if is_csv(&content_type::TABLES_OR_TENSORS, headers)? {
            Format::Csv
        } else {
            let tensors = InferCodec::from_headers(headers)?;
            if tensors.is_json() { Format::Json } else { Format::Tensors(tensors) }
        };
        Ok(PredictCodec { route: PredictRoute::Invocations, format })
    }
}

fn is_csv(types: &AcceptedTypes, headers: &HeaderMap) -> Result<bool, InferError> {
    Ok(types.check(headers)?.is_some_and(|media| media.name == content_type::CSV))
}

impl Decode for PredictCodec {
    type Form = PredictForm;

    fn decode(
        &self,
        metadata: &Metadata,
        body: &Bytes,
        pacer: &Pacer,
    ) -> Result<(DecodedRequest, PredictForm), String> {
        match self.format {
            Format::Csv => decode_csv(metadata, self.route, body, pacer),
            Format::Json => decode_json(metadata, self.route, body, pacer),
            Format::Tensors(tensors) => decode_tensors(tensors, metadata, body, pacer),
        }
    }
}

impl Codec for PredictCodec {
    fn encode(
        &self,
        servable: &ServableHandle,
        id: &str,
        response: &InferResponse,
        form: &PredictForm,
        pacer: &Pacer,
    ) -> Result<EncodedResponse, InferError> {
        match form {
            PredictForm::Predictions(layout) => {
                let limit = servable.settings().limits.response;
                let style = match self.route {
                    PredictRoute::Invocations => Style::Mlflow,
                    _ => Style::Flat,
                };
                let writer = PredictionWriter::new(style, response, limit, pacer);
                let body = write(servable.metadata(), response, *layout, writer)?;
                Ok(EncodedResponse { body, json_length: None })
            }
            PredictForm::Inference(outputs) => {
                InferCodec::JSON.encode(servable, id, response, outputs, pacer)
            }
        }
    }

    fn set_headers(&self, headers: &mut HeaderMap, json_length: Option<usize>) {
        match self.format {
            Format::Tensors(tensors) => tensors.set_headers(headers, json_length),
            _ if json_length.is_some() => InferCodec::JSON.set_headers(headers, json_length),
            _ => drop(headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"))),
        }
    }
}

fn decode_tensors(
    tensors: InferCodec,
    metadata: &Metadata,
    body: &[u8],
    pacer: &Pacer,
) -> Result<(DecodedRequest, PredictForm), String> {
    let (decoded, outputs) = tensors.read(metadata, body, pacer)?;
    Ok((decoded, PredictForm::Inference(outputs)))
}

/// Decodes a table in CSV.
pub(super) fn decode_csv(
    metadata: &Metadata,
    route: PredictRoute,
    body: &[u8],
    pacer: &Pacer,
) -> Result<(DecodedRequest, PredictForm), String> {
    let unknown = unknown_fields(route, true);
    let table = build_table(metadata, unknown, body.len(), |table| read_csv(body, table, pacer))?;

    Ok(request_of(table, DecodedRequest::default()))
}

/// Decodes a body of JSON, with or without an envelope.
pub(super) fn decode_json(
    metadata: &Metadata,
    route: PredictRoute,
    body: &[u8],
    pacer: &Pacer,
) -> Result<(DecodedRequest, PredictForm), String> {
    let envelope = match envelope::open(metadata, route, body, pacer)? {
        Body::Inference => return decode_tensors(InferCodec::JSON, metadata, body, pacer),
        Body::Table(envelope) => envelope,
    };

    let unknown = unknown_fields(route, envelope.is_named());
    let table = build_table(metadata, unknown, body.len(), |table| {
        envelope.read(table).map_err(|error| error.to_string())
    })?;

    let mut decoded = DecodedRequest::default();
    decoded.take_server_parameters(envelope.into_parameters())?;

    Ok(request_of(table, decoded))
}

/// MLflow's clients send whole frames.
fn unknown_fields(route: PredictRoute, is_named: bool) -> UnknownFields {
    match route {
        PredictRoute::Invocations if is_named => UnknownFields::PassedOver,
        _ => UnknownFields::Refused,
    }
}

fn request_of(table: Table, decoded: DecodedRequest) -> (DecodedRequest, PredictForm) {
    let request = InferRequest { inputs: table.inputs, ..decoded.request };
    (DecodedRequest { request, ..decoded }, PredictForm::Predictions(table.layout))
}

/// Writes `{"predictions": […]}`. Fails with [`InferError::NotJson`] if an output is cut off.
pub(super) fn write(
    metadata: &Metadata,
    response: &InferResponse,
    layout: Layout,
    mut writer: PredictionWriter<'_>,
) -> Result<Vec<u8>, InferError> {
    writer.out.extend_from_slice(b"{\"predictions\":");
    writer.write_rows(metadata, response, layout)?;
    writer.out.push(b'}');
    Ok(writer.out)
}
