//! The response: a list with a vector for each text.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use half::{bf16, f16};

use super::Form;
use crate::api::json::EXPANSION;
use crate::api::json::{write_float, write_integer, write_string};
use crate::api::routes::openai::report::Report;
use crate::model::{Datatype, InferError, InferResponse, Metadata, ParameterValue, Tensor};
use crate::tenant::Pacer;

/// Length below which a vector is not scaled, as in torch.
const SMALLEST: f32 = 1e-12;

/// Writes the response of a model, whose own responses have at most `limit` bytes. Fails if there
/// is not a vector for each text, or the vectors are shorter than the request asks for.
pub(super) fn write(
    model: &str,
    metadata: &Metadata,
    response: &InferResponse,
    form: &Form,
    limit: u64,
    pacer: &Pacer,
) -> Result<Vec<u8>, InferError> {
    let output = response.outputs.iter().find(|output| output.name == form.output);
    let output = output
        .ok_or_else(|| InferError::BadOutput(format!("output '{}' is missing", form.output)))?;
    let vectors = Vectors::of(output, form, is_normalized(metadata))?;

    let most = usize::try_from(limit.saturating_mul(EXPANSION)).unwrap_or(usize::MAX);
    let mut body = Vec::with_capacity(output.data.len().saturating_mul(3) + 256);
    body.extend_from_slice(b"{\"object\":\"list\",\"data\":[");
    for index in 0..form.texts {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(b"{\"object\":\"embedding\",\"index\":");
        write_integer(&mut body, index);
        body.extend_from_slice(b",\"embedding\":");
        vectors.write(&mut body, index as usize, form.base64)?;
        body.push(b'}');

        if body.len() > most {
            return Err(InferError::ResponseTooLarge { limit: most as u64 });
        }
        pacer.checkpoint()?;
    }

    body.extend_from_slice(b"],\"model\":");
    write_string(&mut body, model);
    write_usage(&mut body, response, form);
    body.push(b'}');

    Ok(body)
}

fn write_usage(out: &mut Vec<u8>, response: &InferResponse, form: &Form) {
    let mut report = Report::default();
    report.add(response);
    let tokens = report.prompt_tokens.unwrap_or(form.estimated_tokens);

    out.extend_from_slice(b",\"usage\":{\"prompt_tokens\":");
    write_integer(out, tokens);
    out.extend_from_slice(b",\"total_tokens\":");
    write_integer(out, tokens);
    out.push(b'}');
}

/// True if the model says that its vectors have the length 1.
fn is_normalized(metadata: &Metadata) -> bool {
    let property = metadata.properties.iter().find(|property| property.name == "normalized");
    property.is_some_and(|property| property.value == ParameterValue::Boolean(true))
}

/// The vectors of an output.
struct Vectors<'t> {
    tensor: &'t Tensor,
    /// Size of an element in bytes.
    size: usize,
    /// Elements of a vector.
    width: usize,
    /// Elements of a vector that are answered.
    kept: usize,
    /// True if a cut vector is scaled to the length 1.
    rescales: bool,
}

impl<'t> Vectors<'t> {
    fn of(tensor: &'t Tensor, form: &Form, is_normalized: bool) -> Result<Self, InferError> {
        let elements = tensor.elements().unwrap_or_default();
        let width = elements.checked_div(form.texts).filter(|width| width * form.texts == elements);
        let fault = || {
            let (name, shape, texts) = (&tensor.name, &tensor.shape, form.texts);
            let text = format!("output '{name}' has shape {shape:?} for {texts} texts");
            InferError::BadOutput(text)
        };
        let width = width.filter(|&width| width > 0 && tensor.shape.len() <= 2);
        let width = width.ok_or_else(fault)?;

        let kept = form.dimensions.unwrap_or(width);
        if kept > width {
            let text = format!("'dimensions': the model's vectors have {width} numbers");
            return Err(InferError::InvalidInput(text));
        }

        Ok(Vectors {
            tensor,
            size: tensor.datatype.size().ok_or_else(fault)? as usize,
            width: width as usize,
            kept: kept as usize,
            rescales: is_normalized && kept < width,
        })
    }

    /// Writes the vector of a text. Fails if it holds NaN or infinity, which JSON lacks.
    fn write(&self, out: &mut Vec<u8>, index: usize, base64: bool) -> Result<(), InferError> {
        let vector = self.vector(index);

        if base64 {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            out.push(b'"');
            out.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes());
            out.push(b'"');
            return Ok(());
        }

        if vector.iter().any(|number| !number.is_finite()) {
            let text = format!("output '{}' holds NaN or Infinity", self.tensor.name);
            return Err(InferError::NotJson(text));
        }

        out.push(b'[');
        for (index, number) in vector.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_float(out, number);
        }
        out.push(b']');

        Ok(())
    }

    fn vector(&self, index: usize) -> Vec<f32> {
        let start = index * self.width * self.size;
        let end = start + self.kept * self.size;
        let bytes = self.tensor.data.get(start..end).unwrap_or_default();

        let elements = bytes.chunks_exact(self.size.max(1));
        let mut vector: Vec<f32> =
            elements.map(|element| number(self.tensor.datatype, element)).collect();

        if self.rescales {
            let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
            vector.iter_mut().for_each(|number| *number /= length.max(SMALLEST));
        }

        vector
    }
}

/// Reads an element of a floating-point datatype.
fn number(datatype: Datatype, element: &[u8]) -> f32 {
    match (datatype, element) {
        (Datatype::Fp16, &[a, b]) => f16::from_le_bytes([a, b]).to_f32(),
        (Datatype::Bf16, &[a, b]) => bf16::from_le_bytes([a, b]).to_f32(),
        (Datatype::Fp32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
        (Datatype::Fp64, &[a, b, c, d, e, f, g, h]) => {
            f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32
        }
        _ => f32::NAN,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::Parameter;

    fn tensor(shape: &[u64], values: &[f32]) -> Tensor {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor { name: "embedding".into(), datatype: Datatype::Fp32, shape: shape.into(), data }
    }

    fn form(texts: u64, base64: bool, dimensions: Option<u64>) -> Form {
        Form { output: "embedding".into(), texts, base64, dimensions, estimated_tokens: 5 }
    }

    fn normalized() -> Metadata {
        let value = ParameterValue::Boolean(true);
        let properties = vec![Parameter { name: "normalized".into(), value }].into();
        Metadata { properties, ..Metadata::default() }
    }

    fn written(metadata: &Metadata, tensor: Tensor, form: &Form) -> Result<Value, InferError> {
        let response = InferResponse { outputs: vec![tensor], ..InferResponse::default() };
        let body = write("m", metadata, &response, form, 1 << 20, &Pacer::unmetered())?;
        Ok(serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn each_text_has_a_vector() {
        let both = tensor(&[2, 2], &[0.1, 2.0, 3.0, -4.5]);
        let expected = json!({
            "object": "list", "model": "m", "usage": {"prompt_tokens": 5, "total_tokens": 5},
            "data": [
                {"object": "embedding", "index": 0, "embedding": [0.1, 2.0]},
                {"object": "embedding", "index": 1, "embedding": [3.0, -4.5]},
            ],
        });
        assert_eq!(written(&Metadata::default(), both, &form(2, false, None)).unwrap(), expected);
    }

    #[test]
    fn base64_has_the_bytes_of_32_bit_numbers() {
        let values = [0.1f32, -2.0, f32::NAN];
        let expected: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let one = written(&Metadata::default(), tensor(&[1, 3], &values), &form(1, true, None));
        let text = one.unwrap()["data"][0]["embedding"].as_str().unwrap().to_owned();
        assert_eq!(BASE64_STANDARD.decode(text).unwrap(), expected);

        let doubles = [0.1f64, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let doubles =
            Tensor { datatype: Datatype::Fp64, data: doubles, ..tensor(&[1, 2], &[0.0; 2]) };
        let one = written(&Metadata::default(), doubles, &form(1, true, None)).unwrap();
        let text = one["data"][0]["embedding"].as_str().unwrap().to_owned();
        assert_eq!(BASE64_STANDARD.decode(text).unwrap(), expected[..8]);
    }

    #[test]
    fn vectors_are_cut_and_keep_their_length_of_1() {
        let both = || tensor(&[2, 3], &[3.0, 4.0, 5.0, 0.0, 0.0, 1.0]);
        let cut = written(&Metadata::default(), both(), &form(2, false, Some(2))).unwrap();
        assert_eq!(cut["data"][0]["embedding"], json!([3.0, 4.0]));

        let scaled = written(&normalized(), both(), &form(2, false, Some(2))).unwrap();
        assert_eq!(scaled["data"][0]["embedding"], json!([0.6, 0.8]));
        assert_eq!(scaled["data"][1]["embedding"], json!([0.0, 0.0]));

        let whole = written(&normalized(), both(), &form(2, false, Some(3))).unwrap();
        assert_eq!(whole["data"][0]["embedding"], json!([3.0, 4.0, 5.0]));

        let error = written(&normalized(), both(), &form(2, false, Some(4))).unwrap_err();
        assert!(matches!(error, InferError::InvalidInput(_)), "{error:?}");
    }

    #[test]
    fn many_short_vectors_do_not_make_a_response_of_any_length() {
        let outputs = vec![tensor(&[1000], &[0.5; 1000])];
        let response = InferResponse { outputs, ..InferResponse::default() };
        let form = form(1000, false, None);
        let write =
            |limit| write("m", &Metadata::default(), &response, &form, limit, &Pacer::unmetered());

        assert!(matches!(write(4000), Err(InferError::ResponseTooLarge { .. })));
        assert!(write(8000).is_ok());
    }

    #[test]
    fn other_shapes_and_values_are_faults_of_the_model() {
        for (tensor, texts) in [
            (tensor(&[3], &[0.0; 3]), 2),
            (tensor(&[2, 2, 1], &[0.0; 4]), 2),
            (tensor(&[2, 0], &[]), 2),
            (tensor(&[1, 2], &[0.0, f32::INFINITY]), 1),
        ] {
            let error = written(&Metadata::default(), tensor, &form(texts, false, None));
            let error = error.unwrap_err();
            assert!(
                matches!(error, InferError::BadOutput(_) | InferError::NotJson(_)),
                "{error:?}"
            );
        }
    }
}
