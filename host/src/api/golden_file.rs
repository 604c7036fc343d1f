//! Golden requests: a file of inference requests and the responses that they must produce, in the
//! JSON of the protocol.
//!
//! ```json
//! {"tolerance": {"relative": 1e-6, "absolute": 0},
//!  "cases": [{"request": {…}, "response": {"outputs": […]}}]}
//! ```
//!
//! A number may differ from the expected one by `absolute` plus `relative` times the magnitude of
//! the expected one. Both default to 0. The texts `NaN`, `Infinity` and `-Infinity` stand for these
//! numbers, which JSON cannot write.

use super::json::{JsonError, Reader};
use super::oip::request_json::{read_request, read_tensor};
use crate::lifecycle::{Golden, GoldenCase, Tolerance};
use crate::model::{InferRequest, Tensor};
use crate::tenant::Pacer;

/// Parses a golden request file, yielding at checkpoints of `pacer`. Fails with a text for the
/// model's author.
pub fn parse_golden(text: &[u8], pacer: &Pacer) -> Result<Golden, String> {
    read(text, pacer).map_err(|error| error.to_string())
}

fn read(text: &[u8], pacer: &Pacer) -> Result<Golden, JsonError> {
    let mut reader = Reader::paced(text, pacer)?.with_non_finite_texts();
    let mut golden = Golden { tolerance: Tolerance::default(), cases: Vec::new() };
    reader.object_with_keys(&["tolerance", "cases"], |reader, key| match key {
        "tolerance" => read_tolerance(reader).map(|tolerance| golden.tolerance = tolerance),
        _ => reader.array(|reader| {
            let number = golden.cases.len() + 1;
            let case =
                read_case(reader).map_err(|error| error.in_context(format!("case {number}")))?;
            golden.cases.push(case);
            Ok(())
        }),
    })?;

    if golden.cases.is_empty() {
        return Err(reader.error("there are no 'cases'"));
    }

    reader.expect_end()?;

    Ok(golden)
}

fn read_tolerance(reader: &mut Reader<'_>) -> Result<Tolerance, JsonError> {
    let mut tolerance = Tolerance::default();
    reader.object_with_keys(&["relative", "absolute"], |reader, key| {
        let number = reader.number()?.float64();
        if !number.is_finite() || number < 0.0 {
            return Err(reader.error(format!("{key}: a tolerance must be 0 or above")));
        }
        match key {
            "relative" => tolerance.relative = number,
            _ => tolerance.absolute = number,
        }
        Ok(())
    })?;
    Ok(tolerance)
}

fn read_case(reader: &mut Reader<'_>) -> Result<GoldenCase, JsonError> {
    let mut request: Option<InferRequest> = None;
    let mut outputs: Option<Vec<Tensor>> = None;

    reader.object_with_keys(&["request", "response"], |reader, key| {
        match key {
            "request" => {
                request = Some(read_request(reader).map_err(|error| error.in_context(key))?)
            }
            _ => outputs = Some(read_outputs(reader).map_err(|error| error.in_context(key))?),
        }
        Ok(())
    })?;

    let request = request.ok_or_else(|| reader.error("it has no 'request'"))?;
    let outputs = outputs.filter(|outputs| !outputs.is_empty());
    let outputs = outputs.ok_or_else(|| reader.error("it has no 'response' with 'outputs'"))?;

    Ok(GoldenCase { request, outputs })
}

fn read_outputs(reader: &mut Reader<'_>) -> Result<Vec<Tensor>, JsonError> {
    let mut outputs = Vec::new();
    reader.object_with_keys(&["outputs", "id", "model_name", "model_version"], |reader, key| {
        match key {
            "outputs" => reader.array(|reader| {
                outputs.push(read_tensor(reader)?);
                Ok(())
            }),
            _ => reader.skip(),
        }
    })?;
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_golden_files_parse() {
        for text in [
            &include_bytes!("../../../guest-models/house-price/golden.json")[..],
            include_bytes!("../../../guest-models/digits/golden.json"),
            include_bytes!("../../../guest-models/upper/golden.json"),
        ] {
            assert!(!parse_golden(text, &Pacer::unmetered()).unwrap().cases.is_empty());
        }
    }

    #[test]
    fn texts_stand_for_numbers_that_are_not_finite() {
        let tensor = |datatype: &str| {
            format!(
                r#"{{"name": "x", "datatype": "{datatype}", "shape": [4],
                    "data": ["NaN", "Infinity", "-Infinity", 0]}}"#
            )
        };
        let file = |datatype: &str| {
            let tensor = tensor(datatype);
            format!(
                r#"{{"cases": [{{"request": {{"inputs": [{tensor}]}},
                    "response": {{"outputs": [{tensor}]}}}}]}}"#
            )
        };

        let golden = parse_golden(file("FP32").as_bytes(), &Pacer::unmetered()).unwrap();
        let data = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0].map(f32::to_le_bytes).concat();
        assert_eq!(golden.cases[0].request.inputs[0].data, data);
        assert_eq!(golden.cases[0].outputs[0].data, data);

        for datatype in ["FP16", "BF16", "FP64"] {
            assert!(parse_golden(file(datatype).as_bytes(), &Pacer::unmetered()).is_ok());
        }
        let error = parse_golden(file("INT64").as_bytes(), &Pacer::unmetered()).unwrap_err();
        assert!(error.contains("expected a number, found a string"), "{error}");
    }

    #[test]
    fn errors_name_the_fault() {
        for (text, says) in [
            ("", "expected an object"),
            (r#"{"cases": []}"#, "no 'cases'"),
            (r#"{"cases": [{"request": {"inputs": []}}]}"#, "case 1: it has no 'response'"),
            (r#"{"cases": [{"response": {"outputs": []}}]}"#, "case 1: it has no 'request'"),
            (r#"{"casses": []}"#, "unknown key 'casses'"),
            (r#"{"tolerance": {"relative": "x"}}"#, "expected"),
        ] {
            let error = parse_golden(text.as_bytes(), &Pacer::unmetered()).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
