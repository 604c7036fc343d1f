//! Properties that hold for arbitrary bytes read as a table.

use super::PredictRoute;
use super::codec::{PredictForm, decode_csv, decode_json};
use crate::api::oip::request_json::DecodedRequest;
use crate::api::table::Layout;
use crate::fuzzing::check_text;
use crate::model::{Datatype, Metadata, Parameter, ParameterValue, TensorSpec};
use crate::tenant::Pacer;

/// Checks a table for one of several models. The first byte chooses the model, the route and the
/// format, the rest is the body. Accepted tensors are valid, the model would take them, and they
/// are not much larger than the body.
pub fn table(bytes: &[u8]) {
    let Some((&choice, body)) = bytes.split_first() else { return };
    let models = models();
    let metadata = &models[usize::from(choice >> 2) % models.len()];
    let route = if choice & 1 == 0 { PredictRoute::Predict } else { PredictRoute::Invocations };
    let pacer = Pacer::unmetered();

    let decoded = match choice & 2 {
        0 => decode_json(metadata, route, body, &pacer),
        _ => decode_csv(metadata, route, body, &pacer),
    };
    match decoded {
        Ok((decoded, form)) => check(metadata, &decoded, &form, body.len()),
        Err(refusal) => check_text(&refusal, 4000),
    }
}

fn check(metadata: &Metadata, decoded: &DecodedRequest, form: &PredictForm, sent: usize) {
    let inputs = &decoded.request.inputs;
    let PredictForm::Predictions(layout) = form else { return };

    inputs.iter().for_each(|tensor| assert_eq!(tensor.check(), Ok(())));
    let held: usize = inputs.iter().map(|tensor| tensor.data.len()).sum();
    assert!(held <= 8 * sent + (64 << 10) + 4096, "{held} bytes of data from {sent}");

    if let Layout::Rows(rows) = layout {
        assert!(inputs.iter().all(|tensor| tensor.shape.first() == Some(rows)));
    }
    if metadata.max_batch_size == 0 || metadata.rows(&decoded.request) <= 64 {
        assert_eq!(metadata.check_request(&decoded.request), Ok(()));
    }
}

fn models() -> Vec<Metadata> {
    let spec = |name: &str, datatype, shape: &[i64], optional| TensorSpec {
        name: name.into(),
        datatype,
        shape: shape.into(),
        optional,
    };
    let model = |inputs: Vec<TensorSpec>, max_batch_size| Metadata {
        inputs,
        outputs: vec![spec("y", Datatype::Fp32, &[-1], false)],
        max_batch_size,
        properties: vec![Parameter {
            name: "feature_names".into(),
            value: ParameterValue::Text(r#"["a", "b", "c"]"#.into()),
        }]
        .into(),
        ..Metadata::default()
    };

    vec![
        model(vec![spec("x", Datatype::Fp64, &[-1, 3], false)], 64),
        model(vec![spec("x", Datatype::Bytes, &[-1, 3], false)], 64),
        model(vec![spec("x", Datatype::Int8, &[-1, 2, 2], false)], 64),
        model(vec![spec("x", Datatype::Fp16, &[-1, -1], false)], 64),
        model(vec![spec("x", Datatype::Fp32, &[-1], false)], 0),
        model(vec![spec("x", Datatype::Fp32, &[1, 3], false)], 0),
        model(
            vec![
                spec("a", Datatype::Bool, &[-1, 1], false),
                spec("b", Datatype::Uint64, &[-1], true),
                spec("c", Datatype::Bf16, &[-1], true),
                spec("d", Datatype::Bytes, &[-1], true),
            ],
            64,
        ),
        model(
            vec![spec("a", Datatype::Bytes, &[1], true), spec("b", Datatype::Fp32, &[-1, 2], true)],
            0,
        ),
    ]
}
