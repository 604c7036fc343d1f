//! The flat JSON of a generate response: the model's name and version, then one key for each
//! parameter and output.
//!
//! Each key is written once. Output names take precedence over parameters, and both over protocol
//! keys.

use crate::api::json::{write_integer, write_string};
use crate::api::oip::response_json::{
    estimated_length, last_of_each_name, write_elements, write_parameter,
};
use crate::model::{InferError, InferResponse, ModelId, Tensor};
use crate::tenant::Pacer;

/// Encodes a response or one part. Fails with [`InferError::NotJson`] if JSON cannot represent a
/// value.
pub(super) fn write(
    model: &ModelId,
    id: &str,
    response: &InferResponse,
    pacer: &Pacer,
) -> Result<Vec<u8>, InferError> {
    let mut body = Vec::with_capacity(estimated_length(response.outputs.iter()));
    body.push(b'{');
    write_head(&mut body, model, id, response);
    for parameter in last_of_each_name(&response.parameters)
        .filter(|parameter| !has_output(response, &parameter.name))
    {
        write_key(&mut body, &parameter.name);
        write_parameter(&mut body, parameter)?;
        body.push(b',');
    }

    for output in &response.outputs {
        write_key(&mut body, &output.name);
        write_output(&mut body, output, pacer)?;
        body.push(b',');
    }

    // Removes the last comma.
    body.pop();
    body.push(b'}');

    Ok(body)
}

/// Writes the protocol keys that the response does not use itself.
fn write_head(out: &mut Vec<u8>, model: &ModelId, id: &str, response: &InferResponse) {
    let is_free = |name: &str| {
        !has_output(response, name)
            && !response.parameters.iter().any(|parameter| parameter.name == name)
    };
    if is_free("model_name") {
        write_key(out, "model_name");
        write_string(out, model.name.as_str());
        out.push(b',');
    }

    if is_free("model_version") {
        out.extend_from_slice(b"\"model_version\":\"");
        write_integer(out, model.version.number());
        out.extend_from_slice(b"\",");
    }

    if is_free("id") && !id.is_empty() {
        write_key(out, "id");
        write_string(out, id);
        out.push(b',');
    }
}

fn has_output(response: &InferResponse, name: &str) -> bool {
    response.outputs.iter().any(|output| output.name == name)
}

fn write_key(out: &mut Vec<u8>, name: &str) {
    write_string(out, name);
    out.push(b':');
}

/// Writes a single element as a value, other numbers of elements as a flat array.
fn write_output(out: &mut Vec<u8>, tensor: &Tensor, pacer: &Pacer) -> Result<(), InferError> {
    if tensor.elements() == Some(1) {
        return write_elements(out, tensor, pacer);
    }

    out.push(b'[');
    write_elements(out, tensor, pacer)?;
    out.push(b']');

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Datatype, ModelName, Parameter, ParameterValue, TenantName, Version, push_bytes_element,
    };

    fn written(response: &InferResponse) -> String {
        let name = ModelName::new("m").unwrap();
        let model = ModelId {
            tenant: TenantName::default_tenant(),
            name,
            version: Version::new(7).unwrap(),
        };

        String::from_utf8(write(&model, "a", response, &Pacer::unmetered()).unwrap()).unwrap()
    }

    #[test]
    fn single_elements_are_values_and_others_arrays() {
        let mut data = Vec::new();
        push_bytes_element(&mut data, "say \"hé\"\n".as_bytes()).unwrap();

        let text =
            Tensor { name: "text_output".into(), datatype: Datatype::Bytes, shape: vec![1], data };

        let numbers = Tensor {
            name: "n".into(),
            datatype: Datatype::Uint8,
            shape: vec![2, 1],
            data: vec![1, 2],
        };

        let none =
            Tensor { name: "none".into(), datatype: Datatype::Uint8, shape: vec![0], data: vec![] };
        let parameter =
            |name: &str| Parameter { name: name.into(), value: ParameterValue::Boolean(true) };
        let response = InferResponse {
            parameters: vec![parameter("n"), parameter("done")],
            outputs: vec![text, numbers, none],
        };

        assert_eq!(
            written(&response),
            "{\"model_name\":\"m\",\"model_version\":\"7\",\"id\":\"a\",\"done\":true,\
             \"text_output\":\"say \\\"hé\\\"\\n\",\"n\":[1,2],\"none\":[]}"
        );
        assert_eq!(
            written(&InferResponse::default()),
            "{\"model_name\":\"m\",\"model_version\":\"7\",\"id\":\"a\"}"
        );
    }

    #[test]
    fn keys_are_unique_and_model_names_take_precedence() {
        let output = |name: &str| Tensor {
            name: name.into(),
            datatype: Datatype::Uint8,
            shape: vec![1],
            data: vec![1],
        };

        let parameter = |name: &str, value: i64| Parameter {
            name: name.into(),
            value: ParameterValue::Integer(value),
        };

        let response = InferResponse {
            parameters: vec![
                parameter("model_version", 2),
                parameter("p", 3),
                parameter("p", 4),
                parameter("id", 5),
                parameter("o", 6),
            ],
            outputs: vec![output("id"), output("model_name"), output("o")],
        };

        assert_eq!(
            written(&response),
            "{\"model_version\":2,\"p\":4,\"id\":1,\"model_name\":1,\"o\":1}"
        );

        let all = InferResponse {
            outputs: vec![output("id"), output("model_name"), output("model_version")],
            ..response
        };
        assert_eq!(
            written(&InferResponse { parameters: vec![], ..all }),
            "{\"id\":1,\"model_name\":1,\"model_version\":1}"
        );
    }
}
