//! The flat JSON of a generate request: each key is an input or a parameter of the model.
//!
//! `{"text_input": "…", "parameters": {"max_tokens": 20}, "temperature": 0.5, "id": "…"}`. The keys
//! inside and beside `parameters` are equivalent. The shapes come from the model's metadata. Input
//! names take precedence over protocol keys: an input named `id` or `parameters` replaces that key.

use super::{array_parameter, input_names};
use crate::api::generated_text::{TextFilter, read_stop, text_output};
use crate::api::json::{JsonError, Reader, shorten};
use crate::api::oip::element::element_reader;
use crate::api::oip::fitted_tensor::read_fitted_tensor;
use crate::api::oip::parameters::{RawParameter, RawValue, is_reserved, read_parameter};
use crate::api::oip::request_json::DecodedRequest;
use crate::model::{MAX_PARAMETERS, Metadata, TensorSpec};
use crate::tenant::Pacer;

/// Parses a request to the model with this metadata. Fails with a text for the caller.
pub(super) fn read(
    metadata: &Metadata,
    text: &[u8],
    pacer: &Pacer,
) -> Result<DecodedRequest, String> {
    let mut flat = FlatRequest {
        metadata,
        json: DecodedRequest::default(),
        parameters: Vec::new(),
        seen: [false; 2],
    };

    let mut read = || {
        let mut reader = Reader::paced(text, pacer)?;
        reader.object(|reader, key| flat.read_member(reader, &key))?;
        reader.expect_end()
    };

    read().map_err(|error: JsonError| error.to_string())?;

    let FlatRequest { mut json, parameters, .. } = flat;
    input_names::check(metadata, &json.request.inputs, &parameters)?;
    json.take_server_parameters(parameters)?;

    Ok(json)
}

struct FlatRequest<'m> {
    metadata: &'m Metadata,
    json: DecodedRequest,
    parameters: Vec<RawParameter>,
    /// True for the protocol keys `id` and `parameters` once they have been read.
    seen: [bool; 2],
}

impl<'m> FlatRequest<'m> {
    fn read_member(&mut self, reader: &mut Reader<'_>, key: &str) -> Result<(), JsonError> {
        if self.metadata.inputs.iter().any(|spec| spec.name == key) {
            return self.read_field(reader, key);
        }

        let reserved = ["id", "parameters"].iter().position(|reserved| *reserved == key);
        if let Some(seen) = reserved.and_then(|index| self.seen.get_mut(index))
            && std::mem::replace(seen, true)
        {
            return Err(duplicate_key(reader, key));
        }

        match key {
            "id" | "parameters" if reader.null()? => Ok(()),
            "id" => reader
                .string()
                .map(|id| self.json.request.id = id.into_owned())
                .map_err(|error| error.in_context("id")),
            "parameters" => reader.object(|reader, key| self.read_field(reader, &key)),
            _ => self.read_field(reader, key),
        }
    }

    fn read_field(&mut self, reader: &mut Reader<'_>, name: &str) -> Result<(), JsonError> {
        match self.metadata.inputs.iter().find(|spec| spec.name == name) {
            Some(spec) => self
                .read_input(reader, spec)
                .map_err(|error| error.in_context(format!("input '{name}'"))),
            None if matches!(name, "inputs" | "outputs") => Err(self.wrong_route_key(reader, name)),
            None => self.read_parameter_key(reader, name),
        }
    }

    fn read_input(&mut self, reader: &mut Reader<'_>, spec: &TensorSpec) -> Result<(), JsonError> {
        if reader.null()? {
            return Ok(());
        }

        if self.json.request.inputs.iter().any(|earlier| earlier.name == spec.name) {
            return Err(duplicate_key(reader, &spec.name));
        }

        let tensor = read_fitted_tensor(reader, spec, element_reader(spec.datatype))?;
        self.json.request.inputs.push(tensor);

        Ok(())
    }

    fn read_parameter_key(&mut self, reader: &mut Reader<'_>, name: &str) -> Result<(), JsonError> {
        if name == "stop"
            && let Some(output) = self.stopped_output()
        {
            return self.read_stop(reader, output);
        }

        if self.parameters.len() == MAX_PARAMETERS {
            return Err(reader.error(format!("there are more than {MAX_PARAMETERS} parameters")));
        }

        if self.parameters.iter().any(|earlier| earlier.name == name) {
            return Err(duplicate_key(reader, name));
        }

        let read = if reader.peek() == Some(b'[') && !is_reserved(name) {
            array_parameter::read(reader)
                .map(|list| Some(RawValue::Text(list)))
                .map_err(|error| error.in_context(format!("'{}'", shorten(name))))
        } else {
            read_parameter(reader, name)
        };

        let inputs = input_names::names(self.metadata);
        let value =
            read.map_err(|error| error.in_context(format!("parameter (inputs are {inputs})")))?;

        self.parameters.extend(value.map(|value| RawParameter { name: name.to_owned(), value }));

        Ok(())
    }

    /// Returns the output that stop sequences end: none if the model declares a parameter of that
    /// name, which is then its own.
    fn stopped_output(&self) -> Option<&'m TensorSpec> {
        let is_own = self.metadata.properties.iter().any(|property| property.name == "stop");
        text_output(self.metadata).filter(|_| !is_own)
    }

    fn read_stop(&mut self, reader: &mut Reader<'_>, output: &TensorSpec) -> Result<(), JsonError> {
        if self.json.text_filter.is_some() {
            return Err(duplicate_key(reader, "stop"));
        }

        let is_given = reader.peek() != Some(b'n');
        let stops = read_stop(reader).map_err(|error| error.in_context("'stop'"))?;
        self.json.text_filter = is_given.then(|| TextFilter::new(output, stops));

        Ok(())
    }

    /// Returns the error for a key of the `infer` route.
    fn wrong_route_key(&self, reader: &Reader<'_>, name: &str) -> JsonError {
        let inputs = input_names::names(self.metadata);
        reader
            .error(format!("'{name}' belongs to the route 'infer'; here each input is a key, and inputs are {inputs}"))
    }
}

fn duplicate_key(reader: &Reader<'_>, key: &str) -> JsonError {
    reader.error(format!("'{}' is given twice", shorten(key)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Datatype, Parameter, ParameterValue};

    fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
        TensorSpec { name: name.into(), datatype, shape: shape.into(), optional: true }
    }

    fn metadata() -> Metadata {
        let inputs = vec![
            spec("text_input", Datatype::Bytes, &[-1]),
            spec("pairs", Datatype::Uint8, &[-1, 2]),
            spec("item", Datatype::Uint8, &[-1, -1]),
            spec("scalar", Datatype::Uint8, &[]),
            spec("fixed", Datatype::Uint8, &[3]),
        ];
        Metadata { inputs, ..Metadata::default() }
    }

    fn read_now(text: &[u8]) -> Result<DecodedRequest, String> {
        read(&metadata(), text, &Pacer::unmetered())
    }

    fn shape(text: &str) -> Result<Vec<u64>, String> {
        read_now(text.as_bytes()).map(|json| json.request.inputs[0].shape.clone())
    }

    #[test]
    fn keys_are_inputs_or_parameters_at_both_levels() {
        let text = r#"{"text_input": "hé", "id": "a", "seed": 7, "nothing": null, "timeout": 5,
            "parameters": {"scalar": 3, "stop": "x", "sequence_id": 9}}"#;
        let json = read_now(text.as_bytes()).unwrap();
        let names: Vec<_> = json.request.inputs.iter().map(|tensor| tensor.name.as_str()).collect();

        assert_eq!((names, json.request.id.as_str()), (vec!["text_input", "scalar"], "a"));
        assert_eq!(json.request.inputs[0].data, b"\x03\0\0\0h\xc3\xa9");

        let seed = Parameter { name: "seed".into(), value: ParameterValue::Integer(7) };
        let stop = Parameter { name: "stop".into(), value: ParameterValue::Text("x".into()) };
        let mut parameters = json.request.parameters;

        parameters.sort_by(|one, other| one.name.cmp(&other.name));
        assert_eq!(parameters, [seed, stop]);
        assert_eq!(json.timeout, crate::api::http::deadline::from_parameter(Some(5)));
        assert_eq!(json.request.session.unwrap().id, "9");
    }

    #[test]
    fn shape_comes_from_metadata_or_nesting() {
        for (text, expected) in [
            (r#"{"text_input": "a"}"#, vec![1]),
            (r#"{"text_input": ["a", "b"]}"#, vec![2]),
            (r#"{"text_input": []}"#, vec![0]),
            (r#"{"pairs": [1, 2, 3, 4]}"#, vec![2, 2]),
            (r#"{"pairs": [[1, 2], [3, 4], [5, 6]]}"#, vec![3, 2]),
            (r#"{"item": [1, 2, 3]}"#, vec![1, 3]),
            (r#"{"item": [[1], [2]]}"#, vec![2, 1]),
            (r#"{"item": 1}"#, vec![1, 1]),
            (r#"{"scalar": 1}"#, vec![]),
            (r#"{"scalar": [1]}"#, vec![]),
            (r#"{"fixed": [1, 2, 3]}"#, vec![3]),
        ] {
            assert_eq!(shape(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn invalid_requests_are_explained() {
        for (text, says) in [
            ("[]", "expected an object"),
            ("{", "a string"),
            (r#"{"text_input": "a", "text_input": "b"}"#, "'text_input' is given twice"),
            (r#"{"text_input": "a", "parameters": {"text_input": "b"}}"#, "given twice"),
            (r#"{"seed": 1, "parameters": {"seed": 1}}"#, "'seed' is given twice"),
            (r#"{"id": "a", "id": "a"}"#, "'id' is given twice"),
            (r#"{"parameters": {}, "parameters": {}}"#, "given twice"),
            (r#"{"id": 7}"#, "id: expected a string"),
            (r#"{"text_input": 7}"#, "input 'text_input': expected a string"),
            (r#"{"scalar": "a"}"#, "expected a number"),
            (r#"{"scalar": 256}"#, "out of the datatype's range"),
            (r#"{"scalar": [1, 2]}"#, "2 elements do not fill the shape []"),
            (r#"{"fixed": [1, 2]}"#, "2 elements do not fill the shape [3]"),
            (r#"{"fixed": 1}"#, "1 elements do not fill"),
            (r#"{"pairs": [1, 2, 3]}"#, "3 elements do not fill"),
            (r#"{"pairs": [[1, 2], [3]]}"#, "fewer"),
            (r#"{"pairs": [[[1, 2]]]}"#, "nested like the shape [-1, 2]"),
            (r#"{"text_input": [["a"]]}"#, "nested like the shape [-1]"),
            (r#"{"text_inptu": ["a"]}"#, "inputs are 'text_input'"),
            (r#"{"seed": {"a": 1}}"#, "'seed': expected a text, a number, true or false"),
            (r#"{"timeout": -1}"#, "'timeout' must be"),
            (r#"{"text_input": "a"} x"#, "something after the end"),
        ] {
            let error = read_now(text.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in "[\\[\\]{}:,\" 0-9.-]{0,24}", key in "text_input|pairs|item|scalar|fixed|id|x") {
            let _ = read_now(text.as_bytes());
            let _ = read_now(format!("{{\"{key}\": {text}}}").as_bytes());
        }

        #[test]
        fn accepted_requests_match_the_metadata(elements in 0usize..20, name in "text_input|pairs|item|scalar|fixed") {
            let element = if name == "text_input" { "\"a\"" } else { "1" };
            let text = format!("{{\"{name}\": [{}]}}", vec![element; elements].join(","));

            if let Ok(json) = read_now(text.as_bytes()) {
                let tensor = &json.request.inputs[0];
                prop_assert_eq!(tensor.elements(), Some(elements as u64));
                prop_assert_eq!(tensor.check(), Ok(()));
                prop_assert!(metadata().check_request(&json.request).is_ok());
            }
        }
    }

    #[test]
    fn nesting_bomb_is_rejected() {
        for key in ["text_input", "x", "parameters"] {
            let bomb = format!("{{\"{key}\": {}", "[".repeat(100_000));
            assert!(read_now(bomb.as_bytes()).is_err());
        }
    }
}
