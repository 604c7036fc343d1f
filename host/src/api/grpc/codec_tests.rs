//! Requests that another library encodes are decoded, and its decoder reads responses.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use tonic::Code;

use super::messages::{
    InferParameter, InferTensor, InferTensorContents, ModelInferRequest, ModelInferResponse,
    ModelStreamInferResponse, ParameterChoice, RequestedOutput,
};
use super::request::{self, Form};
use super::response::{self, Envelope};
use super::status::{failed, status};
use crate::api::error::ApiError;
use crate::api::oip::request_json::DecodedRequest;
use crate::model::{
    Datatype, InferResponse, ModelId, ModelName, ParameterValue, TenantName, Tensor, Version,
};
use crate::tenant::Pacer;

fn decode(request: &ModelInferRequest) -> Result<(DecodedRequest, Form), String> {
    request::decode(&request.encode_to_vec().into(), &Pacer::unmetered())
}

fn encode(response: &InferResponse, form: &Form, envelope: Envelope) -> Vec<u8> {
    let model = ModelId {
        tenant: TenantName::default_tenant(),
        name: ModelName::new("model").unwrap(),
        version: Version::parse("3").unwrap(),
    };
    response::encode(&model, "id", response, form, envelope, &Pacer::unmetered()).unwrap()
}

fn parameter(choice: ParameterChoice) -> InferParameter {
    InferParameter { parameter_choice: Some(choice) }
}

/// A tensor of any datatype whose data fit its shape.
fn tensors() -> impl Strategy<Value = Tensor> {
    let datatype = prop::sample::select(Datatype::ALL.to_vec());
    (datatype, prop::collection::vec(any::<[u8; 8]>(), 0..6)).prop_map(|(datatype, elements)| {
        let data = elements.iter().flat_map(|element| match datatype.size() {
            Some(_) if datatype == Datatype::Bool => vec![element[0] & 1],
            Some(size) => element[..size as usize].to_vec(),
            None => [&[3, 0, 0, 0], &element[..3]].concat(),
        });
        let data = data.collect();
        Tensor { name: "x".into(), datatype, shape: vec![elements.len() as u64], data }
    })
}

fn has_nan(tensor: &Tensor) -> bool {
    let (singles, doubles) = (tensor.data.as_chunks().0, tensor.data.as_chunks().0);
    match tensor.datatype {
        Datatype::Fp32 => singles.iter().any(|bytes| f32::from_le_bytes(*bytes).is_nan()),
        Datatype::Fp64 => doubles.iter().any(|bytes| f64::from_le_bytes(*bytes).is_nan()),
        _ => false,
    }
}

proptest! {
    #[test]
    fn tensors_come_back_as_they_were_sent(
        tensors in prop::collection::vec(tensors(), 0..4),
        raw in any::<bool>(),
    ) {
        let named = tensors.into_iter().enumerate();
        let tensors: Vec<_> =
            named.map(|(index, tensor)| Tensor { name: format!("x{index}"), ..tensor }).collect();
        // The bits of a NaN may change where numbers are copied.
        prop_assume!(raw || !tensors.iter().any(has_nan));

        let answer = InferResponse { outputs: tensors.clone(), ..InferResponse::default() };
        let form = Form { raw, ..Form::default() };
        let bytes = encode(&answer, &form, Envelope::None);
        let answer = ModelInferResponse::decode(&bytes[..]).unwrap();

        // An answer has the fields of a request.
        let request = ModelInferRequest {
            model_name: answer.model_name,
            id: answer.id,
            inputs: answer.outputs,
            raw_input_contents: answer.raw_output_contents,
            ..ModelInferRequest::default()
        };
        let (decoded, form) = decode(&request).unwrap();
        prop_assert_eq!(decoded.request.inputs, tensors.clone());
        prop_assert_eq!(&decoded.request.id, "id");
        let raw_only = |tensor: &Tensor| matches!(tensor.datatype, Datatype::Fp16 | Datatype::Bf16);
        prop_assert_eq!(form.raw, raw || tensors.is_empty() || tensors.iter().any(raw_only));
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let _ = request::decode(&bytes, &Pacer::unmetered());
        let _ = request::id_of(&bytes);
    }
}

#[test]
fn parameters_are_the_servers_or_the_models() {
    let parameters = BTreeMap::from([
        ("timeout".to_owned(), parameter(ParameterChoice::Int64(5))),
        ("sequence_id".to_owned(), parameter(ParameterChoice::Uint64(u64::MAX))),
        ("sequence_end".to_owned(), parameter(ParameterChoice::Bool(true))),
        ("triton_enable_empty_final_response".to_owned(), parameter(ParameterChoice::Bool(true))),
        ("max_tokens".to_owned(), parameter(ParameterChoice::Uint64(7))),
        ("empty".to_owned(), InferParameter::default()),
    ]);
    let outputs = vec![RequestedOutput { name: "y".into(), ..RequestedOutput::default() }];
    let request = ModelInferRequest { parameters, outputs, ..ModelInferRequest::default() };
    let (decoded, form) = decode(&request).unwrap();

    let [only] = &decoded.request.parameters[..] else { panic!("{:?}", decoded.request) };
    assert_eq!((&*only.name, &only.value), ("max_tokens", &ParameterValue::Integer(7)));
    let session = decoded.request.session.unwrap();
    assert_eq!((&*session.id, session.end), ("18446744073709551615", true));
    assert!(decoded.timeout.is_some() && form.marks_last && form.raw);
    assert!(form.outputs.is_requested("y") && !form.outputs.is_requested("z"));

    let nan = BTreeMap::from([("a".to_owned(), parameter(ParameterChoice::Double(f64::NAN)))]);
    let request = ModelInferRequest { parameters: nan, ..ModelInferRequest::default() };
    assert!(decode(&request).unwrap_err().contains("finite"));
}

#[test]
fn integers_out_of_range_are_refused() {
    for (datatype, contents) in [
        ("INT8", InferTensorContents { int_contents: vec![128], ..Default::default() }),
        ("INT16", InferTensorContents { int_contents: vec![-32769], ..Default::default() }),
        ("UINT8", InferTensorContents { uint_contents: vec![256], ..Default::default() }),
        ("UINT16", InferTensorContents { uint_contents: vec![65536], ..Default::default() }),
    ] {
        let input = InferTensor {
            name: "x".into(),
            datatype: datatype.into(),
            shape: vec![1],
            contents: Some(contents),
            ..InferTensor::default()
        };
        let request = ModelInferRequest { inputs: vec![input], ..ModelInferRequest::default() };
        let error = decode(&request).unwrap_err();
        assert!(error.contains("input 'x'") && error.contains("out of the range"), "{error}");
    }
}

#[test]
fn responses_of_a_stream_say_whether_they_are_the_last() {
    let form = Form { raw: true, ..Form::default() };
    for last in [None, Some(false), Some(true)] {
        let bytes = encode(&InferResponse::default(), &form, Envelope::Stream { last });
        let answer = ModelStreamInferResponse::decode(&bytes[..]).unwrap().infer_response.unwrap();
        let expected = last.map(|last| parameter(ParameterChoice::Bool(last)));
        assert_eq!(answer.parameters.get("triton_final_response"), expected.as_ref());
        assert_eq!((&*answer.model_version, &*answer.id), ("3", "id"));
    }
}

#[test]
fn every_status_has_a_code() {
    for number in 100..1000 {
        let status_of = |code| {
            status(&ApiError::new(StatusCode::from_u16(number).unwrap(), code, "text")).code()
        };
        assert_ne!(status_of("any"), Code::Ok, "{number}");
        assert!(!(400..600).contains(&number) || status_of("any") != Code::Unknown, "{number}");
        assert_eq!(status_of("load_failed"), Code::FailedPrecondition);
    }
}

#[test]
fn texts_of_errors_are_metadata() {
    let error = ApiError::new(StatusCode::NOT_FOUND, "model_not_found", "mödel\n50%");
    let response = failed(&error);
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "5");
    assert_eq!(response.headers()["grpc-message"], "m%C3%B6del%0A50%25");
    assert_eq!(response.headers()["wardian-code"], "model_not_found");

    let long = ApiError::new(StatusCode::BAD_REQUEST, "invalid_input", "ä".repeat(100_000));
    assert!(failed(&long).headers()["grpc-message"].len() < 8 << 10);
}
