//! Properties that hold for arbitrary bytes read as one of the server's JSON formats.

use super::extract::ModelPath;
use super::golden_file::parse_golden;
pub use super::grpc::fuzzing::grpc;
use super::oip::fuzzing::check_tensors;
pub use super::oip::fuzzing::{infer_binary, infer_json};
pub use super::routes::model_routes::fuzzing::route_request;
pub use super::routes::openai::fuzzing::openai;
pub use super::routes::predict::fuzzing::table;
pub use super::websocket::fuzzing::websocket;
use crate::fuzzing::check_text;

/// Checks a golden request file. An accepted file has cases with outputs, valid tensors, and a
/// finite tolerance of at least 0.
pub fn golden(text: &[u8]) {
    let golden = match parse_golden(text, &crate::tenant::Pacer::unmetered()) {
        Ok(golden) => golden,
        Err(fault) => return check_text(&fault, 1500),
    };
    assert!(!golden.cases.is_empty());
    for case in &golden.cases {
        assert!(!case.outputs.is_empty());
        check_tensors(&case.request.inputs, text.len());
        check_tensors(&case.outputs, text.len());
    }

    for tolerance in [golden.tolerance.relative, golden.tolerance.absolute] {
        assert!(tolerance.is_finite() && tolerance >= 0.0, "a tolerance of {tolerance}");
    }
}

/// Checks a request path. The parsed parts reproduce the path.
pub fn path(text: &str) {
    let Some(ModelPath { model, version }) = ModelPath::parse(text) else { return };
    let version = version.map(|version| format!("/versions/{version}")).unwrap_or_default();
    assert_eq!(format!("/v2/models/{model}{version}/infer"), text);
    assert!(!model.contains(['/', '%']) && !model.is_empty());
}
