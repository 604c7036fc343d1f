//! The parts of an answer as one.

use crate::model::{Datatype, InferResponse, MAX_PARAMETERS, Parameter, Tensor, bytes_elements, push_bytes_element};

/// Parts that have come so far, joined: texts of one output are put together to one text, element by element, and
/// other tensors along their first dimension. Of parameters with one name the last counts.
#[derive(Default)]
pub(super) struct Whole {
    parameters: Vec<Parameter>,
    outputs: Vec<Tensor>,
    /// The elements of those outputs that are texts; empty for others.
    texts: Vec<Vec<Vec<u8>>>,
}

impl Whole {
    /// Adds a part. Fails with a text for the model's author if it does not fit those before.
    pub(super) fn add(&mut self, part: InferResponse) -> Result<(), String> {
        for parameter in part.parameters {
            self.parameters.retain(|earlier| earlier.name != parameter.name);
            self.parameters.push(parameter);
        }
        if self.parameters.len() > MAX_PARAMETERS {
            return Err(format!("the parts of the answer have more than {MAX_PARAMETERS} parameters"));
        }
        part.outputs.into_iter().try_for_each(|tensor| self.add_output(tensor))
    }

    /// All of it. Fails as [`Whole::add`].
    pub(super) fn finish(mut self) -> Result<InferResponse, String> {
        for (tensor, texts) in self.outputs.iter_mut().zip(&self.texts) {
            texts.iter().try_for_each(|text| push_bytes_element(&mut tensor.data, text))?;
        }
        Ok(InferResponse { parameters: self.parameters, outputs: self.outputs })
    }

    fn add_output(&mut self, tensor: Tensor) -> Result<(), String> {
        match self.outputs.iter().position(|earlier| earlier.name == tensor.name) {
            None => self.begin(tensor),
            Some(index) => self.extend(index, &tensor).ok_or_else(|| {
                let earlier = self.outputs.get(index).map(|earlier| earlier.shape.clone()).unwrap_or_default();
                format!("parts of output '{}' cannot be joined: shapes {earlier:?}, {:?}", tensor.name, tensor.shape)
            }),
        }
    }

    fn begin(&mut self, mut tensor: Tensor) -> Result<(), String> {
        let mut texts = Vec::new();
        if tensor.datatype == Datatype::Bytes {
            texts = bytes_elements(&tensor.data).map(|text| text.map(<[u8]>::to_vec)).collect::<Result<_, _>>()?;
            tensor.data.clear();
        } else if tensor.shape.is_empty() {
            // A number in each part makes a list of them.
            tensor.shape.push(1);
        }
        self.outputs.push(tensor);
        self.texts.push(texts);
        Ok(())
    }

    /// Adds to the output at that index; `None` if it does not fit.
    fn extend(&mut self, index: usize, tensor: &Tensor) -> Option<()> {
        let (whole, texts) = (self.outputs.get_mut(index)?, self.texts.get_mut(index)?);
        if tensor.datatype == Datatype::Bytes {
            (whole.shape == tensor.shape).then_some(())?;
            for (text, more) in texts.iter_mut().zip(bytes_elements(&tensor.data)) {
                text.extend_from_slice(more.ok()?);
            }
            return Some(());
        }
        let (length, rest) = tensor.shape.split_first().unwrap_or((&1, &[]));
        let (whole_length, whole_rest) = whole.shape.split_first_mut()?;
        (whole_rest == rest).then_some(())?;
        *whole_length = whole_length.checked_add(*length)?;
        whole.data.extend_from_slice(&tensor.data);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ParameterValue;

    fn text(texts: &[&str]) -> Tensor {
        let mut data = Vec::new();
        texts.iter().for_each(|text| push_bytes_element(&mut data, text.as_bytes()).unwrap());
        Tensor { name: "text".into(), datatype: Datatype::Bytes, shape: vec![texts.len() as u64], data }
    }

    fn numbers(shape: &[u64]) -> Tensor {
        let data = vec![7; shape.iter().product::<u64>() as usize];
        Tensor { name: "n".into(), datatype: Datatype::Uint8, shape: shape.into(), data }
    }

    fn part(outputs: Vec<Tensor>, done: bool) -> InferResponse {
        let done = Parameter { name: "done".into(), value: ParameterValue::Boolean(done) };
        InferResponse { parameters: vec![done], outputs }
    }

    #[test]
    fn texts_become_one_text_and_numbers_a_longer_list() {
        let mut whole = Whole::default();
        whole.add(part(vec![text(&["a", "b"]), numbers(&[1, 2])], false)).unwrap();
        whole.add(part(vec![numbers(&[2, 2])], false)).unwrap();
        whole.add(part(vec![text(&["c", ""])], true)).unwrap();
        assert_eq!(whole.finish().unwrap(), part(vec![text(&["ac", "b"]), numbers(&[3, 2])], true));
        assert_eq!(Whole::default().finish().unwrap(), InferResponse::default());
    }

    #[test]
    fn a_number_in_each_part_becomes_a_list() {
        let mut whole = Whole::default();
        for _ in 0..3 {
            whole.add(part(vec![numbers(&[])], true)).unwrap();
        }
        assert_eq!(whole.finish().unwrap().outputs, [numbers(&[3])]);
    }

    #[test]
    fn what_does_not_fit_is_a_fault_of_the_model_s() {
        for (first, second) in [(text(&["a"]), text(&["b", "c"])), (numbers(&[1, 2]), numbers(&[1, 3]))] {
            let mut whole = Whole::default();
            whole.add(part(vec![first], true)).unwrap();
            assert!(whole.add(part(vec![second], true)).unwrap_err().contains("cannot be joined"));
        }
    }
}
