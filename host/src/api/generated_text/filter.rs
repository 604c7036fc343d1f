//! The parts of an answer, without what follows a stop sequence.

use super::stop_sequences::{NotUtf8, Released, StopSequences};
use crate::model::{
    Datatype, InferError, InferRequest, InferResponse, Tensor, TensorSpec, bytes_elements,
    push_bytes_element,
};

/// Cuts the text of an answer before the first stop sequence. Every part that it returns ends with
/// a whole character.
#[derive(Debug)]
pub(in crate::api) struct TextFilter {
    /// Name of the output with the text.
    output: String,
    /// Shape of that output in the last part.
    shape: Vec<u64>,
    stops: StopSequences,
    is_stopped: bool,
    /// True if the request may have several prompts.
    may_have_several: bool,
}

impl TextFilter {
    /// Creates the filter of one answer, whose text is in `output`.
    pub(in crate::api) fn new(output: &TensorSpec, stops: StopSequences) -> Self {
        let shape = output.shape.iter().map(|_| 1).collect();
        let output = output.name.clone();
        TextFilter { output, shape, stops, is_stopped: false, may_have_several: true }
    }

    /// Tells the filter the request, which decides whose fault an answer with several texts is.
    pub(in crate::api) fn set_request(&mut self, request: &InferRequest) {
        self.may_have_several = request.inputs.iter().any(|input| input.elements() != Some(1));
    }

    /// True once a stop sequence has ended the answer.
    pub(in crate::api) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Returns a part with the text that is certain to be in the answer; `None` if nothing of it
    /// is. Fails if the text is not UTF-8, or there are several: by the fault of the request if it
    /// may have several prompts, and of the model otherwise.
    pub(in crate::api) fn pass(
        &mut self,
        mut part: InferResponse,
    ) -> Result<Option<InferResponse>, InferError> {
        let Some(index) = part.outputs.iter().position(|output| output.name == self.output) else {
            return Ok(Some(part));
        };

        let Some(tensor) = part.outputs.get_mut(index) else { return Ok(Some(part)) };
        let Released { text, is_last } = self.push(tensor)?;
        self.is_stopped = is_last;

        if text.is_empty() {
            part.outputs.remove(index);
        } else {
            tensor.data = element(&text)?;
        }

        let is_empty = part.outputs.is_empty() && part.parameters.is_empty();

        Ok((!is_empty).then_some(part))
    }

    /// Returns the text that is held back, as the last part. Fails like [`TextFilter::pass`].
    pub(in crate::api) fn finish(&mut self) -> Result<Option<InferResponse>, InferError> {
        let text = self.stops.finish().map_err(|NotUtf8| self.not_utf8())?;
        if text.is_empty() {
            return Ok(None);
        }

        let name = self.output.clone();
        let shape = self.shape.clone();
        let tensor = Tensor { name, datatype: Datatype::Bytes, shape, data: element(&text)? };

        Ok(Some(InferResponse { outputs: vec![tensor], ..InferResponse::default() }))
    }

    fn push(&mut self, tensor: &Tensor) -> Result<Released, InferError> {
        let mut texts = bytes_elements(&tensor.data);
        let first = texts.next().transpose().map_err(InferError::BadOutput)?;
        if texts.next().is_some() {
            return Err(self.several_texts());
        }

        let Some(text) = first else { return Ok(Released::default()) };
        self.shape.clone_from(&tensor.shape);

        self.stops.push(text).map_err(|NotUtf8| self.not_utf8())
    }

    fn several_texts(&self) -> InferError {
        let output = &self.output;
        if self.may_have_several {
            let text = format!("output '{output}' has several texts, where one is expected");
            InferError::InvalidInput(format!("{text}; send one prompt in each request"))
        } else {
            InferError::BadOutput(format!("output '{output}' has several texts for one prompt"))
        }
    }

    fn not_utf8(&self) -> InferError {
        InferError::NotJson(format!("output '{}' holds bytes that are not UTF-8", self.output))
    }
}

fn element(text: &[u8]) -> Result<Vec<u8>, InferError> {
    let mut data = Vec::with_capacity(text.len() + size_of::<u32>());
    push_bytes_element(&mut data, text).map_err(InferError::BadOutput)?;
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::generated_text::read_stop;
    use crate::api::json::Reader;
    use crate::model::{Parameter, ParameterValue};

    fn filter() -> TextFilter {
        let spec = TensorSpec {
            name: "text".into(),
            datatype: Datatype::Bytes,
            shape: vec![-1],
            optional: false,
        };
        let stops = read_stop(&mut Reader::new(br#""END""#).unwrap()).unwrap();
        TextFilter::new(&spec, stops)
    }

    fn part(texts: &[&str]) -> InferResponse {
        let mut data = Vec::new();
        texts.iter().for_each(|text| push_bytes_element(&mut data, text.as_bytes()).unwrap());
        let shape = vec![texts.len() as u64];
        let tensor = Tensor { name: "text".into(), datatype: Datatype::Bytes, shape, data };
        InferResponse { outputs: vec![tensor], parameters: vec![] }
    }

    #[test]
    fn parts_without_certain_text_are_left_out() {
        let mut filter = filter();
        assert_eq!(filter.pass(part(&["a E"])).unwrap(), Some(part(&["a "])));
        assert_eq!(filter.pass(part(&["N"])).unwrap(), None);
        assert_eq!(filter.finish().unwrap(), Some(part(&["EN"])));
        assert!(!filter.is_stopped());

        assert_eq!(filter.pass(part(&["ENDless"])).unwrap(), None);
        assert_eq!((filter.is_stopped(), filter.finish().unwrap()), (true, None));
    }

    #[test]
    fn other_outputs_and_parameters_stay() {
        let other = Tensor { name: "n".into(), ..part(&["a"]).outputs.remove(0) };
        let parameter = Parameter { name: "p".into(), value: ParameterValue::Boolean(true) };
        let outputs = vec![part(&["E"]).outputs.remove(0), other.clone()];
        let passed = filter().pass(InferResponse { outputs, parameters: vec![parameter.clone()] });

        let expected = InferResponse { outputs: vec![other], parameters: vec![parameter] };
        assert_eq!(passed.unwrap(), Some(expected));
    }

    #[test]
    fn several_texts_for_one_prompt_are_the_models_fault() {
        let mut filter = filter();
        let mut pass = |prompts: &[&str]| {
            let inputs = part(prompts).outputs;
            filter.set_request(&InferRequest { inputs, ..InferRequest::default() });
            filter.pass(part(&["a", "b"])).unwrap_err()
        };

        assert!(matches!(pass(&["one"]), InferError::BadOutput(_)));
        assert!(matches!(pass(&["one", "two"]), InferError::InvalidInput(_)));
    }
}
