//! The flat JSON of an answer: the model's name and version, then a key for each parameter and each output.

use crate::api::infer::response_json::{estimate, write_elements, write_head, write_parameter};
use crate::api::json::write_string;
use crate::model::{InferError, InferResponse, ModelId, Tensor};

/// Writes an answer or a part of one. Fails with [`InferError::NotJson`] if JSON cannot hold a value.
pub(super) fn write(model: &ModelId, id: &str, response: &InferResponse) -> Result<Vec<u8>, InferError> {
    let mut body = Vec::with_capacity(estimate(response.outputs.iter()));
    write_head(&mut body, model, id);
    // A key is written once, and an output is worth more than a parameter of its name.
    let taken = |name: &str| response.outputs.iter().any(|output| output.name == name);
    for parameter in response.parameters.iter().filter(|parameter| !taken(&parameter.name)) {
        write_key(&mut body, &parameter.name);
        write_parameter(&mut body, parameter)?;
        body.push(b',');
    }
    for output in &response.outputs {
        write_key(&mut body, &output.name);
        write_output(&mut body, output)?;
        body.push(b',');
    }
    // Whatever came last, the head if nothing else, ended with a comma.
    body.pop();
    body.push(b'}');
    Ok(body)
}

fn write_key(out: &mut Vec<u8>, name: &str) {
    write_string(out, name);
    out.push(b':');
}

/// One element as it is, any other number of them as an array without nesting.
fn write_output(out: &mut Vec<u8>, tensor: &Tensor) -> Result<(), InferError> {
    if tensor.elements() == Some(1) {
        return write_elements(out, tensor);
    }
    out.push(b'[');
    write_elements(out, tensor)?;
    out.push(b']');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Datatype, ModelName, Parameter, ParameterValue, TenantName, Version, push_bytes_element};

    fn written(response: &InferResponse) -> String {
        let name = ModelName::new("m").unwrap();
        let model = ModelId { tenant: TenantName::default_tenant(), name, version: Version::new(7).unwrap() };
        String::from_utf8(write(&model, "a", response).unwrap()).unwrap()
    }

    #[test]
    fn one_element_is_a_value_and_more_are_a_list() {
        let mut data = Vec::new();
        push_bytes_element(&mut data, "say \"hé\"\n".as_bytes()).unwrap();
        let text = Tensor { name: "text_output".into(), datatype: Datatype::Bytes, shape: vec![1], data };
        let numbers = Tensor { name: "n".into(), datatype: Datatype::Uint8, shape: vec![2, 1], data: vec![1, 2] };
        let none = Tensor { name: "none".into(), datatype: Datatype::Uint8, shape: vec![0], data: vec![] };
        let parameter = |name: &str| Parameter { name: name.into(), value: ParameterValue::Boolean(true) };
        let response =
            InferResponse { parameters: vec![parameter("n"), parameter("done")], outputs: vec![text, numbers, none] };
        assert_eq!(
            written(&response),
            "{\"model_name\":\"m\",\"model_version\":\"7\",\"id\":\"a\",\"done\":true,\
             \"text_output\":\"say \\\"hé\\\"\\n\",\"n\":[1,2],\"none\":[]}"
        );
        assert_eq!(written(&InferResponse::default()), "{\"model_name\":\"m\",\"model_version\":\"7\",\"id\":\"a\"}");
    }
}
