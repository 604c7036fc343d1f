//! Merging of response parts into one response.

use crate::model::{Datatype, InferResponse, MAX_PARAMETERS, Parameter, Tensor, bytes_elements};
use crate::tenant::Pacer;

/// The parts received so far. Of several parameters with the same name, the last one counts.
#[derive(Default)]
pub(super) struct MergedResponse {
    parameters: Vec<Parameter>,
    outputs: Vec<MergedOutput>,
    bytes: u64,
}

/// One output across the parts. Its data is merged at the end.
struct MergedOutput {
    /// The output of the first part.
    tensor: Tensor,
    /// The data of the other parts.
    more_data: Vec<Vec<u8>>,
}

impl MergedResponse {
    /// Adds a part. Fails with a text for the model's author if it is incompatible with the earlier
    /// ones.
    pub(super) fn add(&mut self, part: InferResponse) -> Result<(), String> {
        self.bytes += part.size();
        for parameter in part.parameters {
            self.parameters.retain(|earlier| earlier.name != parameter.name);
            self.parameters.push(parameter);
        }

        if self.parameters.len() > MAX_PARAMETERS {
            return Err(format!(
                "the parts of the answer have more than {MAX_PARAMETERS} parameters"
            ));
        }

        part.outputs.into_iter().try_for_each(|tensor| self.add_output(tensor))
    }

    /// Size of all parts in bytes.
    pub(super) fn size(&self) -> u64 {
        self.bytes
    }

    /// Merges the parts: texts are concatenated element by element, other tensors along their first
    /// dimension. Fails like [`MergedResponse::add`]. Copies all data once.
    pub(super) fn finish(self, pacer: &Pacer) -> Result<InferResponse, String> {
        let outputs = self
            .outputs
            .into_iter()
            .map(|output| output.finish(pacer))
            .collect::<Result<_, _>>()?;
        Ok(InferResponse { parameters: self.parameters, outputs })
    }

    fn add_output(&mut self, tensor: Tensor) -> Result<(), String> {
        let Some(output) =
            self.outputs.iter_mut().find(|earlier| earlier.tensor.name == tensor.name)
        else {
            self.outputs.push(MergedOutput::new(tensor));
            return Ok(());
        };

        let name = tensor.name.clone();
        let earlier = output.tensor.shape.clone();
        let shape = tensor.shape.clone();
        let incompatible =
            || format!("parts of output '{name}' cannot be joined: shapes {earlier:?}, {shape:?}");

        output.extend(tensor).ok_or_else(incompatible)
    }
}

impl MergedOutput {
    fn new(mut tensor: Tensor) -> Self {
        if tensor.datatype != Datatype::Bytes && tensor.shape.is_empty() {
            // Scalars in several parts become a list.
            tensor.shape.push(1);
        }
        MergedOutput { tensor, more_data: Vec::new() }
    }

    /// Returns `None` if the shapes are incompatible.
    fn extend(&mut self, more: Tensor) -> Option<()> {
        let shape = &mut self.tensor.shape;
        if more.datatype == Datatype::Bytes {
            (*shape == more.shape).then_some(())?;
        } else {
            let (length, rest) = more.shape.split_first().unwrap_or((&1, &[]));
            let (merged_length, merged_rest) = shape.split_first_mut()?;
            (merged_rest == rest).then_some(())?;
            *merged_length = merged_length.checked_add(*length)?;
        }

        self.more_data.push(more.data);

        Some(())
    }

    fn finish(self, pacer: &Pacer) -> Result<Tensor, String> {
        let MergedOutput { mut tensor, more_data: more } = self;
        if more.is_empty() {
            return Ok(tensor);
        }

        let parts: Vec<_> = std::iter::once(&tensor.data).chain(&more).map(Vec::as_slice).collect();
        tensor.data = if tensor.datatype == Datatype::Bytes {
            concat_texts(&parts, pacer)?
        } else {
            parts.concat()
        };

        Ok(tensor)
    }
}

/// Concatenates `BYTES` tensors of the same shape element by element.
fn concat_texts(parts: &[&[u8]], pacer: &Pacer) -> Result<Vec<u8>, String> {
    let mut joined = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    let mut elements: Vec<_> = parts.iter().copied().map(bytes_elements).collect();

    loop {
        let start = joined.len();
        joined.extend_from_slice(&[0; LENGTH_BYTES]);
        for part in &mut elements {
            // All tensors have the same shape, so they end together.
            let Some(text) = part.next() else {
                joined.truncate(start);
                return Ok(joined);
            };
            joined.extend_from_slice(text?);
        }
        pacer.checkpoint().map_err(|stopped| stopped.to_string())?;
        let length = joined.len() - start - LENGTH_BYTES;
        let length = u32::try_from(length)
            .map_err(|_| "a BYTES element is longer than 4 GiB".to_string())?;
        joined.splice(start..start + LENGTH_BYTES, length.to_le_bytes());
    }
}

/// Size of an element's length prefix in bytes.
const LENGTH_BYTES: usize = size_of::<u32>();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ParameterValue, push_bytes_element};

    fn text(texts: &[&str]) -> Tensor {
        let mut data = Vec::new();
        texts.iter().for_each(|text| push_bytes_element(&mut data, text.as_bytes()).unwrap());
        Tensor {
            name: "text".into(),
            datatype: Datatype::Bytes,
            shape: vec![texts.len() as u64],
            data,
        }
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
    fn texts_are_concatenated_and_numbers_appended() {
        let mut merged = MergedResponse::default();
        merged.add(part(vec![text(&["a", "b"]), numbers(&[1, 2])], false)).unwrap();
        merged.add(part(vec![numbers(&[2, 2])], false)).unwrap();
        merged.add(part(vec![text(&["c", ""])], true)).unwrap();
        assert_eq!(
            merged.finish(&Pacer::unmetered()).unwrap(),
            part(vec![text(&["ac", "b"]), numbers(&[3, 2])], true)
        );
        assert_eq!(
            MergedResponse::default().finish(&Pacer::unmetered()).unwrap(),
            InferResponse::default()
        );
    }

    #[test]
    fn scalars_become_a_list() {
        let mut merged = MergedResponse::default();
        for _ in 0..3 {
            merged.add(part(vec![numbers(&[])], true)).unwrap();
        }

        assert_eq!(merged.finish(&Pacer::unmetered()).unwrap().outputs, [numbers(&[3])]);
    }

    #[test]
    fn incompatible_parts_are_rejected() {
        for (first, second) in
            [(text(&["a"]), text(&["b", "c"])), (numbers(&[1, 2]), numbers(&[1, 3]))]
        {
            let mut merged = MergedResponse::default();
            merged.add(part(vec![first], true)).unwrap();
            assert!(merged.add(part(vec![second], true)).unwrap_err().contains("cannot be joined"));
        }
    }
}
