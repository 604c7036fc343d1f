//! The request: `{"model": …, "input": …, "encoding_format": …, "dimensions": …}`.

use super::Form;
use crate::api::json::{JsonError, Reader, shorten};
use crate::api::oip::fitted_tensor::fit_shape;
use crate::api::oip::request_json::DecodedRequest;
use crate::api::routes::openai::abilities::Embedder;
use crate::api::routes::openai::fields::{Parameters, estimated_tokens, in_field, whole};
use crate::api::routes::openai::report::Report;
use crate::model::{Metadata, Tensor, push_bytes_element};
use crate::tenant::Pacer;

/// The fields of a request so far.
#[derive(Default)]
struct Fields {
    texts: Option<Texts>,
    base64: bool,
    dimensions: Option<u64>,
    parameters: Parameters,
}

/// Texts as the elements of a tensor.
#[derive(Default)]
struct Texts {
    data: Vec<u8>,
    count: u64,
    estimated_tokens: u64,
}

/// Reads a request to the model with this metadata. Fails with a text for the caller.
pub(super) fn read(
    metadata: &Metadata,
    body: &[u8],
    pacer: &Pacer,
) -> Result<(DecodedRequest, Form), String> {
    let Embedder { input, output } = Embedder::of(metadata)?;
    let mut fields = Fields::default();

    let mut read = || {
        let mut reader = Reader::paced(body, pacer)?;
        reader.object(|reader, key| fields.read(reader, metadata, &key))?;
        reader.expect_end()
    };
    read().map_err(|error: JsonError| error.to_string())?;

    let Fields { texts, base64, dimensions, parameters: Parameters(parameters) } = fields;
    let texts = texts.ok_or("'input' is missing")?;
    let shape = fit_shape(input, texts.count).map_err(|error| format!("'input': {error}"))?;

    let mut decoded = DecodedRequest::default();
    decoded.take_server_parameters(parameters)?;
    decoded.request.outputs = Report::outputs(metadata, &output.name);
    decoded.request.inputs.push(Tensor {
        name: input.name.clone(),
        datatype: input.datatype,
        shape,
        data: texts.data,
    });

    let form = Form {
        output: output.name.clone(),
        texts: texts.count,
        base64,
        dimensions,
        estimated_tokens: texts.estimated_tokens,
    };

    Ok((decoded, form))
}

impl Fields {
    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        metadata: &Metadata,
        name: &str,
    ) -> Result<(), JsonError> {
        match name {
            "model" => reader.skip(),
            "input" if self.texts.is_some() => Err(reader.error("'input' is given twice")),
            "input" => {
                self.texts = Some(in_field(name, read_texts(reader))?);
                Ok(())
            }
            "encoding_format" => {
                self.base64 = in_field(name, read_encoding(reader))?;
                Ok(())
            }
            "dimensions" => {
                self.dimensions = in_field(name, whole(reader, 1))?;
                Ok(())
            }
            _ => self.parameters.read(reader, metadata, name),
        }
    }
}

fn read_texts(reader: &mut Reader<'_>) -> Result<Texts, JsonError> {
    let mut texts = Texts::default();

    match reader.peek() {
        Some(b'[') => reader.array(|reader| texts.push(reader))?,
        _ => texts.push(reader)?,
    }

    if texts.count == 0 {
        return Err(reader.error("the list has no texts"));
    }

    Ok(texts)
}

impl Texts {
    fn push(&mut self, reader: &mut Reader<'_>) -> Result<(), JsonError> {
        if matches!(reader.peek(), Some(b'0'..=b'9' | b'-' | b'[')) {
            let text = "texts are wanted; numbers of tokens are not read, because only the model \
                        knows its tokens";
            return Err(reader.error(text));
        }

        let text = reader.string()?;
        push_bytes_element(&mut self.data, text.as_bytes()).map_err(|error| reader.error(error))?;
        self.count += 1;
        self.estimated_tokens += estimated_tokens(&text);

        Ok(())
    }
}

/// Returns true for base64.
fn read_encoding(reader: &mut Reader<'_>) -> Result<bool, JsonError> {
    if reader.null()? {
        return Ok(false);
    }

    match &*reader.string()? {
        "float" => Ok(false),
        "base64" => Ok(true),
        other => {
            let other = shorten(other);
            Err(reader.error(format!("expected 'float' or 'base64', found '{other}'")))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Datatype, Parameter, ParameterValue, TensorSpec};

    fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
        TensorSpec { name: name.into(), datatype, shape: shape.into(), optional: false }
    }

    fn metadata() -> Metadata {
        let value = ParameterValue::Text("parameter".into());
        Metadata {
            inputs: vec![spec("text", Datatype::Bytes, &[-1])],
            outputs: vec![spec("embedding", Datatype::Fp32, &[-1, 4])],
            properties: vec![Parameter { name: "layer".into(), value }].into(),
            ..Metadata::default()
        }
    }

    fn read_now(text: &str) -> Result<(DecodedRequest, Form), String> {
        read(&metadata(), text.as_bytes(), &Pacer::unmetered())
    }

    #[test]
    fn a_text_and_a_list_are_the_elements_of_the_input() {
        let (one, form) = read_now(r#"{"model": "m", "input": "cat"}"#).unwrap();
        assert_eq!(one.request.inputs[0].data, b"\x03\0\0\0cat");
        let expected = Form {
            output: "embedding".into(),
            texts: 1,
            base64: false,
            dimensions: None,
            estimated_tokens: 1,
        };
        assert_eq!(form, expected);

        let text = r#"{"input": ["cat", "horse"], "encoding_format": "base64", "dimensions": 2}"#;
        let (two, form) = read_now(text).unwrap();
        assert_eq!(two.request.inputs[0].shape, [2]);
        assert_eq!((form.texts, form.base64, form.dimensions), (2, true, Some(2)));
        assert_eq!(form.estimated_tokens, 3);
    }

    #[test]
    fn only_declared_fields_are_parameters() {
        let text = r#"{"input": "a", "layer": 3, "user": "u", "x": {"y": [null]}, "timeout": 5,
            "encoding_format": null, "dimensions": null}"#;
        let (decoded, _) = read_now(text).unwrap();
        let layer = Parameter { name: "layer".into(), value: ParameterValue::Integer(3) };
        assert_eq!(decoded.request.parameters, [layer]);
        assert!(decoded.timeout.is_some());
    }

    #[test]
    fn wrong_requests_are_explained() {
        for (text, says) in [
            (r#"{"input": [15339, 1917]}"#, "'input': texts are wanted"),
            (r#"{"input": [[57668, 53901]]}"#, "'input': texts are wanted"),
            (r#"{"input": 7}"#, "'input': texts are wanted"),
            (r#"{"input": []}"#, "'input': the list has no texts"),
            (r#"{"input": null}"#, "'input': expected a string"),
            (r#"{"input": ["a", null]}"#, "'input': expected a string"),
            (r#"{"input": "a", "input": "b"}"#, "'input' is given twice"),
            ("{}", "'input' is missing"),
            (r#"{"input": "a", "encoding_format": "int8"}"#, "expected 'float' or 'base64'"),
            (r#"{"input": "a", "encoding_format": 1}"#, "'encoding_format': expected a string"),
            (r#"{"input": "a", "dimensions": 0}"#, "'dimensions': expected a whole number from 1"),
            (r#"{"input": "a", "dimensions": 1.5}"#, "'dimensions': expected a whole number"),
            (r#"{"input": "a", "layer": {}}"#, "'layer': expected a text"),
            (r#"{"input": "a""#, "expected ','"),
        ] {
            let error = read_now(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_model_of_one_text_takes_one() {
        let mut metadata = metadata();
        metadata.inputs[0].shape = vec![1];
        let read = |text: &str| read(&metadata, text.as_bytes(), &Pacer::unmetered());
        assert!(read(r#"{"input": ["a"]}"#).is_ok());
        assert!(read(r#"{"input": ["a", "b"]}"#).unwrap_err().starts_with("'input': "));
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(value in "[\\[\\]{}:,\" 0-9.a-]{0,24}") {
            let _ = read_now(&value);
            for name in ["input", "encoding_format", "dimensions", "layer"] {
                let _ = read_now(&format!("{{\"{name}\": {value}}}"));
            }
        }
    }
}
