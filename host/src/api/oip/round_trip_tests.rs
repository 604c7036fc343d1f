//! Round trips of arbitrary tensors through the encoder and the decoder.

use std::fmt::Write;

use proptest::prelude::*;

use super::framing::{self, Framing};
use super::output_selection::{OutputSelection, RequestedOutput};
use super::request_json::read_request_text;
use super::response_json::{EncodedResponse, encode};
use crate::model::{
    Datatype, InferResponse, Metadata, ModelId, ModelName, Parameter, ParameterValue, TenantName,
    Tensor, Version, push_bytes_element,
};
use crate::tenant::Pacer;

fn model() -> ModelId {
    let name = ModelName::new("m").unwrap();
    ModelId { tenant: TenantName::default_tenant(), name, version: Version::new(7).unwrap() }
}

fn encoded(tensors: &[Tensor], form: &OutputSelection) -> EncodedResponse {
    encode(
        &model(),
        "",
        &InferResponse { parameters: vec![], outputs: tensors.into() },
        form,
        &Pacer::unmetered(),
    )
    .unwrap()
}

/// Turns a response into the request that sends its outputs as inputs.
fn turned(encoded: &EncodedResponse) -> Vec<u8> {
    let split = encoded.json_length.unwrap_or(encoded.body.len());
    let (json, rest) = encoded.body.split_at(split);
    let json = std::str::from_utf8(json).unwrap().replace("\"outputs\":", "\"inputs\":");

    [json.as_bytes(), rest].concat()
}

fn any_datatype() -> impl Strategy<Value = Datatype> {
    proptest::sample::select(Datatype::ALL.to_vec())
}

/// Generates valid tensors; with `finite`, without NaN and infinities.
fn any_tensor(finite: bool) -> impl Strategy<Value = Tensor> {
    (any_datatype(), proptest::collection::vec(0u64..4, 0..4)).prop_flat_map(
        move |(datatype, shape)| {
            let elements = shape.iter().product::<u64>() as usize;
            let texts = proptest::collection::vec(any::<String>(), elements);
            let words = proptest::collection::vec(any::<u64>(), elements);
            (Just(shape), texts, words).prop_map(move |(shape, texts, words)| {
                let mut data = Vec::new();
                for (text, word) in texts.iter().zip(words) {
                    push_element(&mut data, datatype, text, word, finite);
                }
                Tensor { name: "x".into(), datatype, shape, data }
            })
        },
    )
}

fn push_element(data: &mut Vec<u8>, datatype: Datatype, text: &str, word: u64, finite: bool) {
    // Clearing the lowest exponent bit excludes NaN and the infinities.
    let word = match datatype {
        Datatype::Bool => word & 1,
        Datatype::Fp16 if finite => word & !(1 << 10),
        Datatype::Bf16 if finite => word & !(1 << 7),
        Datatype::Fp32 if finite => word & !(1 << 23),
        Datatype::Fp64 if finite => word & !(1 << 52),
        _ => word,
    };

    match datatype.size() {
        Some(size) => data.extend_from_slice(&word.to_le_bytes()[..size as usize]),
        None => push_bytes_element(data, text.as_bytes()).unwrap(),
    }
}

/// Nests flat JSON elements like the tensor's shape.
fn nest(elements: &mut impl Iterator<Item = String>, shape: &[u64]) -> String {
    let Some((&length, inner)) = shape.split_first() else { return elements.next().unwrap() };
    let entries: Vec<_> = (0..length).map(|_| nest(elements, inner)).collect();
    format!("[{}]", entries.join(","))
}

fn flat_elements(encoded: &EncodedResponse) -> Vec<String> {
    let json: serde_json::Value = serde_json::from_slice(&encoded.body).unwrap();
    // serde_json rounds floats its own way, so the text is used directly.
    let text = std::str::from_utf8(&encoded.body).unwrap();
    let start = text.find("\"data\":[").unwrap() + 8;
    let data = &text[start..text.len() - 4];
    let strings = json["outputs"][0]["data"].as_array().unwrap();

    if strings.first().is_some_and(serde_json::Value::is_string) {
        return strings.iter().map(ToString::to_string).collect();
    }

    data.split(',').filter(|element| !element.is_empty()).map(str::to_string).collect()
}

proptest! {
    #[test]
    fn json_round_trip(tensors in proptest::collection::vec(any_tensor(true), 0..4)) {
        let body = turned(&encoded(&tensors, &OutputSelection::default()));
        let read = framing::decode(Framing::Json, &Metadata::default(), &body, &Pacer::unmetered()).unwrap();
        prop_assert_eq!(read.request.inputs, tensors);
    }

    #[test]
    fn binary_round_trip(tensors in proptest::collection::vec(any_tensor(false), 1..4)) {
        let form = OutputSelection { default_binary: true, requested: vec![] };
        let encoded = encoded(&tensors, &form);
        // "inputs" is one letter shorter than "outputs".
        let length = encoded.json_length.unwrap() - 1;
        let read = framing::decode(Framing::Mixed(length), &Metadata::default(), &turned(&encoded), &Pacer::unmetered()).unwrap();

        prop_assert_eq!(read.request.inputs, tensors);
    }

    #[test]
    fn mixed_round_trip(mut tensors in proptest::collection::vec(any_tensor(true), 2..5)) {
        for (index, tensor) in tensors.iter_mut().enumerate() {
            tensor.name = index.to_string();
        }

        let named = tensors.iter().enumerate().map(|(index, tensor)| RequestedOutput {
            name: tensor.name.clone(),
            binary: Some(index % 2 == 0),
            classes: None,
        });
        let encoded = encoded(&tensors, &OutputSelection { default_binary: false, requested: named.collect() });
        let length = encoded.json_length.unwrap() - 1;
        let read = framing::decode(Framing::Mixed(length), &Metadata::default(), &turned(&encoded), &Pacer::unmetered()).unwrap();

        prop_assert_eq!(read.request.inputs, tensors);
    }

    #[test]
    fn nesting_and_key_order_do_not_matter(tensor in any_tensor(true)) {
        let elements = flat_elements(&encoded(std::slice::from_ref(&tensor), &OutputSelection::default()));
        let flat = format!("[{}]", elements.join(", "));
        let nested = nest(&mut elements.into_iter(), &tensor.shape);

        for data in [flat, nested] {
            let mut keys = [
                "\"name\":\"x\"".to_string(),
                format!("\"datatype\": \"{}\"", tensor.datatype),
                format!("\"shape\" :{:?}", tensor.shape),
                format!("\"data\":{data}"),
            ];
            for _ in 0..keys.len() {
                keys.rotate_left(1);
                let text = format!("{{\"inputs\":[{{{}}}]}}", keys.join(",\n"));
                let read = read_request_text(text.as_bytes(), &Pacer::unmetered()).unwrap();
                prop_assert_eq!(&read.request.inputs[0], &tensor);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(framing in 0usize..40, body in any::<Vec<u8>>(), text in "[\\[\\]{}:,\"a-e0-9. ]{0,60}") {
        for bytes in [body.as_slice(), text.as_bytes()] {
            let _ = framing::decode(Framing::Mixed(framing), &Metadata::default(), bytes, &Pacer::unmetered());
            let _ = read_request_text(format!("{{\"inputs\":[{{{text}}}]}}").as_bytes(), &Pacer::unmetered());
        }
    }
}

#[test]
fn head_and_parameters_are_encoded() {
    let value = |name: &str, value| Parameter { name: name.into(), value };

    let parameters = vec![
        value("a", ParameterValue::Boolean(true)),
        value("b", ParameterValue::Integer(-1)),
        value("c", ParameterValue::Number(1.5)),
        value("d", ParameterValue::Text("\"".into())),
    ];

    let outputs = vec![Tensor {
        name: "y".into(),
        datatype: Datatype::Fp32,
        shape: vec![1],
        data: vec![0, 0, 128, 63],
    }];

    let encoded = encode(
        &model(),
        "q",
        &InferResponse { parameters, outputs },
        &OutputSelection::default(),
        &Pacer::unmetered(),
    )
    .unwrap();

    let mut expected = String::new();

    write!(expected, r#"{{"model_name":"m","model_version":"7","id":"q","parameters":"#).unwrap();
    write!(expected, r#"{{"a":true,"b":-1,"c":1.5,"d":"\""}},"#).unwrap();
    write!(expected, r#""outputs":[{{"name":"y","datatype":"FP32","shape":[1],"data":[1.0]}}]}}"#)
        .unwrap();
    assert_eq!(String::from_utf8(encoded.body).unwrap(), expected);
}

#[test]
fn unrepresentable_values_are_named() {
    let tensor = |datatype, data: &[u8]| Tensor {
        name: "y".into(),
        datatype,
        shape: vec![1],
        data: data.into(),
    };

    for (tensor, says) in [
        (tensor(Datatype::Fp64, &f64::NAN.to_le_bytes()), "output 'y' holds NaN"),
        (tensor(Datatype::Fp32, &f32::INFINITY.to_le_bytes()), "output 'y' holds NaN or Infinity"),
        (tensor(Datatype::Fp16, &half::f16::NAN.to_le_bytes()), "output 'y' holds NaN"),
        (tensor(Datatype::Bf16, &half::bf16::INFINITY.to_le_bytes()), "output 'y' holds NaN"),
        (tensor(Datatype::Bytes, &[1, 0, 0, 0, 255]), "output 'y' holds bytes that are not UTF-8"),
    ] {
        let response = InferResponse { parameters: vec![], outputs: vec![tensor] };
        let error =
            encode(&model(), "", &response, &OutputSelection::default(), &Pacer::unmetered())
                .unwrap_err()
                .to_string();
        assert!(error.contains(says) && error.contains("ask for binary"), "{error}");
        let binary = OutputSelection { default_binary: true, requested: vec![] };
        assert!(encode(&model(), "", &response, &binary, &Pacer::unmetered()).is_ok());
    }
}
