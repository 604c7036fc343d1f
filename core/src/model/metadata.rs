//! A model's metadata, and checks of requests and responses against it.

use super::properties::Properties;
use super::request::MAX_PARAMETERS;
use super::tensor::MAX_DIMENSIONS;
use super::{Datatype, InferRequest, InferResponse, Parameter, Tensor, hint, sanitize};

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Name, unique among the inputs or among the outputs.
    pub name: String,
    /// Datatype of the elements.
    pub datatype: Datatype,
    /// Elements along each dimension; -1 for any number.
    pub shape: Vec<i64>,
    /// True if it may be absent.
    pub optional: bool,
}

/// Metadata returned by a loaded model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Description for people; may be empty.
    pub description: String,
    /// Tensors of a request.
    pub inputs: Vec<TensorSpec>,
    /// Tensors of a response.
    pub outputs: Vec<TensorSpec>,
    /// If above 0, the first dimension of every tensor is a batch of at most this many items.
    pub max_batch_size: u32,
    /// Further properties for clients.
    pub properties: Properties,
}

/// Limit of inputs or outputs, which bounds the memory that a guest can make the host keep.
const MAX_SPECS: usize = 256;
const MAX_TENSOR_NAME: usize = 256;
/// Limit of description and properties, in bytes: enough for a licence text.
const MAX_TEXT: usize = 64 << 10;

impl Metadata {
    /// Checks that the metadata is valid. Fails with a text for the model's author.
    pub fn check(&self) -> Result<(), String> {
        check_specs("input", &self.inputs)?;
        check_specs("output", &self.outputs)?;

        let size =
            self.description.len() + self.properties.iter().map(Parameter::size).sum::<usize>();

        if size > MAX_TEXT || self.properties.len() > MAX_SPECS {
            return Err(format!(
                "the metadata has {} properties and {size} bytes of text; at most {MAX_SPECS} and {MAX_TEXT} are allowed",
                self.properties.len()
            ));
        }

        if self.outputs.is_empty() {
            return Err("the metadata names no outputs".into());
        }

        if self.max_batch_size > 0 {
            let unbatched = self
                .inputs
                .iter()
                .chain(&self.outputs)
                .find(|spec| spec.shape.first() != Some(&-1));

            if let Some(spec) = unbatched {
                return Err(format!(
                    "max-batch-size is above 0, so the first dimension of '{}' must be -1",
                    spec.name
                ));
            }
        }

        Ok(())
    }

    /// Checks a request's inputs. Fails with a text for the caller.
    pub fn check_request(&self, request: &InferRequest) -> Result<(), String> {
        check_tensors("input", &self.inputs, &request.inputs)?;

        for name in &request.outputs {
            if !self.outputs.iter().any(|spec| spec.name == *name) {
                let hint =
                    hint("outputs", name, self.outputs.iter().map(|spec| spec.name.as_str()));
                return Err(format!("the model has no output '{}'{hint}", shown_name(name)));
            }
        }

        self.check_batch(request)?;

        let Some(refused) = self.properties.refused() else { return Ok(()) };
        let names: Vec<_> = self.inputs.iter().map(|spec| spec.name.as_str()).collect();
        refused.check(&names, &self.properties, &request.inputs)
    }

    /// Returns the number of rows: the batch size or, if the model takes no batches, 1.
    pub fn rows(&self, request: &InferRequest) -> u64 {
        let first = request.inputs.first().filter(|_| self.max_batch_size > 0);
        first.and_then(|tensor| tensor.shape.first().copied()).unwrap_or(1)
    }

    fn check_batch(&self, request: &InferRequest) -> Result<(), String> {
        if self.max_batch_size == 0 {
            return Ok(());
        }

        let mut sizes = request.inputs.iter().filter_map(|tensor| tensor.shape.first().copied());
        let Some(size) = sizes.next() else { return Ok(()) };
        if sizes.any(|other| other != size) {
            return Err(
                "the first dimension is the batch, and must be the same for every input".into()
            );
        }

        if size > u64::from(self.max_batch_size) {
            return Err(format!(
                "the batch of {size} items is larger than the model's {}",
                self.max_batch_size
            ));
        }

        Ok(())
    }

    /// Checks a response's outputs. Fails with a text for the model's author.
    ///
    /// Optional outputs and outputs that were not requested may be absent.
    pub fn check_response(
        &self,
        wanted: &[String],
        response: &InferResponse,
    ) -> Result<(), String> {
        self.check_part(response)?;

        let missing = self.outputs.iter().find(|spec| {
            let asked = wanted.is_empty() || wanted.contains(&spec.name);
            asked
                && !spec.optional
                && !response.outputs.iter().any(|tensor| tensor.name == spec.name)
        });
        missing.map_or(Ok(()), |spec| Err(format!("output '{}' is missing", spec.name)))
    }

    /// Checks one part of a streamed response. Fails with a text for the model's author.
    ///
    /// Any output may be absent, since other parts may contain it.
    pub fn check_part(&self, part: &InferResponse) -> Result<(), String> {
        if part.parameters.len() > MAX_PARAMETERS {
            let found = part.parameters.len();
            return Err(format!(
                "the answer has {found} parameters; at most {MAX_PARAMETERS} are allowed"
            ));
        }

        for tensor in &part.outputs {
            tensor.check().map_err(|fault| format!("output '{}': {fault}", tensor.name))?;
        }

        check_known("output", &self.outputs, &part.outputs)
    }
}

fn check_specs(what: &str, specs: &[TensorSpec]) -> Result<(), String> {
    if specs.len() > MAX_SPECS {
        return Err(format!(
            "the metadata names {} {what}s; at most {MAX_SPECS} are allowed",
            specs.len()
        ));
    }

    for (index, spec) in specs.iter().enumerate() {
        check_spec(spec).map_err(|fault| {
            format!("the metadata's {what} '{}' {fault}", shown_name(&spec.name))
        })?;

        if specs[..index].iter().any(|earlier| earlier.name == spec.name) {
            return Err(format!("the metadata names {what} '{}' twice", spec.name));
        }
    }

    Ok(())
}

fn check_spec(spec: &TensorSpec) -> Result<(), String> {
    if spec.name.is_empty() {
        return Err("has no name".into());
    }

    if spec.name.len() > MAX_TENSOR_NAME || spec.name.chars().any(char::is_control) {
        return Err(format!(
            "has a name with control characters or longer than {MAX_TENSOR_NAME} bytes"
        ));
    }

    if spec.shape.len() > MAX_DIMENSIONS {
        return Err(format!("has more than {MAX_DIMENSIONS} dimensions"));
    }

    if spec.shape.iter().any(|&dimension| dimension < -1) {
        return Err(format!(
            "has shape {:?}; a dimension is -1 for any number, or not negative",
            spec.shape
        ));
    }

    let known = spec.shape.iter().filter(|&&dimension| dimension >= 0);
    let product = known.copied().try_fold(1i64, i64::checked_mul);
    match product {
        Some(elements) if elements <= MAX_SPEC_ELEMENTS => Ok(()),
        _ => Err(format!("has shape {:?}, more elements than any request can hold", spec.shape)),
    }
}

/// Limit of elements of a shape. Larger tensors exceed a guest's memory.
const MAX_SPEC_ELEMENTS: i64 = 1 << 32;

fn check_tensors(what: &str, specs: &[TensorSpec], tensors: &[Tensor]) -> Result<(), String> {
    check_known(what, specs, tensors)?;

    let missing = specs
        .iter()
        .find(|spec| !spec.optional && !tensors.iter().any(|tensor| tensor.name == spec.name));
    missing.map_or(Ok(()), |spec| {
        Err(format!("{what} '{}' is missing; the model takes {}", spec.name, quoted_names(specs)))
    })
}

fn check_known(what: &str, specs: &[TensorSpec], tensors: &[Tensor]) -> Result<(), String> {
    for (index, tensor) in tensors.iter().enumerate() {
        let spec = specs.iter().find(|spec| spec.name == tensor.name);
        let spec = spec.ok_or_else(|| unknown_tensor(what, &tensor.name, specs))?;
        check_against(spec, tensor).map_err(|fault| format!("{what} '{}' {fault}", spec.name))?;

        if tensors[..index].iter().any(|earlier| earlier.name == tensor.name) {
            return Err(format!("{what} '{}' is given twice", spec.name));
        }
    }

    Ok(())
}

fn check_against(spec: &TensorSpec, tensor: &Tensor) -> Result<(), String> {
    if spec.datatype != tensor.datatype {
        return Err(format!("has datatype {}, expected {}", tensor.datatype, spec.datatype));
    }

    if !spec.accepts_shape(&tensor.shape) {
        return Err(format!("has shape {:?}, expected {:?}", tensor.shape, spec.shape));
    }

    Ok(())
}

fn quoted_names(specs: &[TensorSpec]) -> String {
    let quoted: Vec<_> = specs.iter().map(|spec| format!("'{}'", spec.name)).collect();
    if quoted.is_empty() { "none".into() } else { quoted.join(", ") }
}

fn unknown_tensor(what: &str, name: &str, specs: &[TensorSpec]) -> String {
    let hint = hint(&format!("{what}s"), name, specs.iter().map(|spec| spec.name.as_str()));
    format!("unknown {what} '{}'{hint}", shown_name(name))
}

/// Shortens a name in an error text. The name comes from a guest or a caller.
fn shown_name(name: &str) -> String {
    sanitize(name, 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, shape: &[i64]) -> TensorSpec {
        TensorSpec {
            name: name.into(),
            datatype: Datatype::Uint8,
            shape: shape.into(),
            optional: false,
        }
    }

    fn model(inputs: &[TensorSpec], outputs: &[TensorSpec]) -> Metadata {
        Metadata { inputs: inputs.into(), outputs: outputs.into(), ..Metadata::default() }
    }

    fn tensor(name: &str, shape: &[u64]) -> Tensor {
        let elements = shape.iter().product::<u64>() as usize;
        Tensor {
            name: name.into(),
            datatype: Datatype::Uint8,
            shape: shape.into(),
            data: vec![0; elements],
        }
    }

    #[test]
    fn metadata_that_makes_no_sense_is_refused() {
        let y = spec("y", &[1]);
        let outputs = std::slice::from_ref(&y);

        assert!(model(&[spec("x", &[-1])], outputs).check().is_ok());
        assert!(model(&[], &[]).check().is_err());

        for bad in
            [spec("", &[1]), spec("x", &[-2]), spec("x", &[1 << 40]), spec(&"n".repeat(300), &[1])]
        {
            assert!(model(std::slice::from_ref(&bad), outputs).check().is_err(), "{bad:?}");
        }
        assert!(model(&[spec("x", &[1]), spec("x", &[1])], outputs).check().is_err());

        let batched =
            Metadata { max_batch_size: 4, ..model(&[spec("x", &[2])], &[spec("y", &[-1])]) };

        assert!(batched.check().is_err());
    }

    #[test]
    fn a_request_must_hold_exactly_what_the_model_takes() {
        let metadata = model(&[spec("x", &[-1, 2])], &[spec("y", &[-1])]);
        let check = |inputs: &[Tensor], outputs: &[&str]| {
            let outputs = outputs.iter().map(|name| name.to_string()).collect();
            metadata.check_request(&InferRequest {
                inputs: inputs.into(),
                outputs,
                ..InferRequest::default()
            })
        };
        assert!(check(&[tensor("x", &[3, 2])], &[]).is_ok());
        assert!(check(&[tensor("x", &[3, 2])], &["y"]).is_ok());

        for (inputs, outputs, says) in [
            (vec![], vec![], "missing"),
            (vec![tensor("z", &[1])], vec![], "unknown input 'z'"),
            (vec![tensor("x", &[3, 3])], vec![], "expected [-1, 2]"),
            (vec![tensor("x", &[1, 2]), tensor("x", &[1, 2])], vec![], "twice"),
            (vec![tensor("x", &[3, 2])], vec!["q"], "no output 'q'"),
        ] {
            let fault = check(&inputs, &outputs).unwrap_err();
            assert!(fault.contains(says), "{fault}");
        }
    }

    #[test]
    fn a_response_must_hold_what_was_promised() {
        let metadata = model(&[], &[spec("y", &[2]), spec("z", &[1])]);
        let check = |wanted: &[&str], outputs: &[Tensor]| {
            let wanted: Vec<_> = wanted.iter().map(|name| name.to_string()).collect();
            metadata.check_response(
                &wanted,
                &InferResponse { outputs: outputs.into(), ..InferResponse::default() },
            )
        };
        assert!(check(&[], &[tensor("y", &[2]), tensor("z", &[1])]).is_ok());
        assert!(check(&["y"], &[tensor("y", &[2])]).is_ok());
        assert!(check(&[], &[tensor("y", &[2])]).is_err());
        assert!(check(&[], &[tensor("y", &[3]), tensor("z", &[1])]).is_err());

        let torn = Tensor { data: vec![0], ..tensor("y", &[2]) };
        assert!(check(&["y"], &[torn]).is_err());
    }

    #[test]
    fn an_optional_output_may_be_absent_even_if_it_was_asked_for() {
        let optional = TensorSpec { optional: true, ..spec("z", &[1]) };
        let metadata = model(&[], &[spec("y", &[2]), optional]);
        let response =
            InferResponse { outputs: vec![tensor("y", &[2])], ..InferResponse::default() };

        for wanted in [&[][..], &["y"], &["z"], &["y", "z"]] {
            let wanted: Vec<_> = wanted.iter().map(|name| name.to_string()).collect();
            assert_eq!(metadata.check_response(&wanted, &response), Ok(()), "{wanted:?}");
        }
    }
}
