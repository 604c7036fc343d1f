//! Joins several requests into one and splits the response.
//!
//! Requests can be joined if they differ only in the first dimension and the data of their tensors.

use crate::model::{Datatype, InferRequest, InferResponse, Tensor};

/// The number of rows of a request; `None` if it cannot be joined, because it has no inputs or no
/// rows.
pub(super) fn rows(request: &InferRequest) -> Option<u64> {
    let rows = request.inputs.first()?.shape.first().copied();
    rows.filter(|&rows| rows > 0)
}

/// Bytes of a request's tensors.
pub(super) fn bytes(request: &InferRequest) -> u64 {
    request.inputs.iter().map(|tensor| tensor.data.len() as u64).sum()
}

/// True if two requests can be joined.
pub(super) fn can_join(one: &InferRequest, other: &InferRequest) -> bool {
    rows(one).is_some()
        && rows(other).is_some()
        && one.inputs.len() == other.inputs.len()
        && one.inputs.iter().zip(&other.inputs).all(|(one, other)| same_layout(one, other))
        && one.outputs == other.outputs
        && one.parameters == other.parameters
}

fn same_layout(one: &Tensor, other: &Tensor) -> bool {
    one.name == other.name
        && one.datatype == other.datatype
        && one.shape.len() == other.shape.len()
        && one.shape.iter().zip(&other.shape).skip(1).all(|(one, other)| one == other)
}

/// Joins requests: the rows of the first, then those of the second, and so on. The result has no
/// id.
pub(super) fn join(requests: &[&InferRequest]) -> InferRequest {
    let Some(first) = requests.first() else { return InferRequest::default() };
    let inputs = (0..first.inputs.len()).map(|index| join_tensors(requests, index)).collect();

    let parameters = first.parameters.clone();
    let outputs = first.outputs.clone();
    InferRequest { parameters, inputs, outputs, ..InferRequest::default() }
}

fn join_tensors(requests: &[&InferRequest], index: usize) -> Tensor {
    let parts = || requests.iter().filter_map(|request| request.inputs.get(index));
    let mut data = Vec::with_capacity(parts().map(|tensor| tensor.data.len()).sum());
    parts().for_each(|tensor| data.extend_from_slice(&tensor.data));

    let rows = parts().filter_map(|tensor| tensor.shape.first()).sum();
    let model = &requests[0].inputs[index];

    let shape = std::iter::once(rows).chain(model.shape.iter().skip(1).copied()).collect();
    Tensor { name: model.name.clone(), datatype: model.datatype, shape, data }
}

/// Splits the response to joined requests that had `rows` rows each. The length of the outputs'
/// data must agree with their shapes. Fails with a text for the model's author if an output's first
/// dimension is not the sum of `rows`.
pub(super) fn split(response: &InferResponse, rows: &[u64]) -> Result<Vec<InferResponse>, String> {
    let total: u64 = rows.iter().sum();
    let empty = || InferResponse { parameters: response.parameters.clone(), outputs: Vec::new() };
    let mut answers: Vec<_> = rows.iter().map(|_| empty()).collect();

    for output in &response.outputs {
        if output.shape.first() != Some(&total) {
            let Tensor { name, shape, .. } = output;
            return Err(format!(
                "output '{name}' has shape {shape:?} for a batch of {total} items; its first dimension must be {total}"
            ));
        }
        split_tensor(output, rows, &mut answers)?;
    }
    Ok(answers)
}

fn split_tensor(
    output: &Tensor,
    rows: &[u64],
    answers: &mut [InferResponse],
) -> Result<(), String> {
    let mut rest = output.data.as_slice();
    for (&rows, answer) in rows.iter().zip(answers) {
        let shape: Vec<_> =
            std::iter::once(rows).chain(output.shape.iter().skip(1).copied()).collect();
        let mut part = Tensor {
            name: output.name.clone(),
            datatype: output.datatype,
            shape,
            data: Vec::new(),
        };

        let length = encoded_length(&part, rest)
            .ok_or_else(|| format!("output '{}' has too little data", output.name))?;
        let (data, after) = rest.split_at(length);
        part.data = data.to_vec();
        rest = after;
        answer.outputs.push(part);
    }
    Ok(())
}

/// Bytes of a tensor of that shape at the start of `data`; `None` if `data` is too short.
fn encoded_length(tensor: &Tensor, data: &[u8]) -> Option<usize> {
    let elements = usize::try_from(tensor.elements()?).ok()?;
    let length = match tensor.datatype.size() {
        Some(size) => elements.checked_mul(usize::try_from(size).ok()?)?,
        None => encoded_bytes_length(elements, data)?,
    };
    (length <= data.len()).then_some(length)
}

/// Bytes of `elements` elements of [`Datatype::Bytes`], each of which starts with its length.
fn encoded_bytes_length(elements: usize, data: &[u8]) -> Option<usize> {
    debug_assert!(Datatype::Bytes.size().is_none());
    let mut end = 0usize;
    for _ in 0..elements {
        let length = data.get(end..)?.first_chunk::<4>()?;
        end = end.checked_add(4)?.checked_add(u32::from_le_bytes(*length) as usize)?;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Parameter, ParameterValue, push_bytes_element};

    /// A tensor's datatype, and its shape without the first dimension.
    type Kind = (Datatype, Vec<u64>);

    fn kind() -> impl Strategy<Value = Kind> {
        let datatype = prop::sample::select(Datatype::ALL.to_vec());
        (datatype, prop::collection::vec(0..4u64, 0..3))
    }

    fn tensor(index: usize, (datatype, inner): &Kind, rows: u64, seed: u8) -> Tensor {
        let shape: Vec<_> = std::iter::once(rows).chain(inner.iter().copied()).collect();
        let elements = shape.iter().product::<u64>();
        let mut data = Vec::new();
        for element in 0..elements {
            let mark = seed.wrapping_mul(31).wrapping_add(element as u8);
            match datatype.size() {
                Some(size) => data.extend((0..size).map(|byte| mark.wrapping_add(byte as u8) & 1)),
                None => push_bytes_element(&mut data, &vec![mark; usize::from(mark % 5)]).unwrap(),
            }
        }
        Tensor { name: format!("t{index}"), datatype: *datatype, shape, data }
    }

    fn requests() -> impl Strategy<Value = Vec<InferRequest>> {
        let kinds = prop::collection::vec(kind(), 1..4);
        let rows = prop::collection::vec(1..5u64, 1..8);
        (kinds, rows).prop_map(|(kinds, rows)| {
            let tensors = |seed: usize, rows: u64| {
                let kinds = kinds.iter().enumerate();
                kinds.map(|(index, kind)| tensor(index, kind, rows, seed as u8)).collect()
            };
            let request = |(seed, rows)| InferRequest {
                inputs: tensors(seed, rows),
                ..InferRequest::default()
            };
            rows.into_iter().enumerate().map(request).collect()
        })
    }

    proptest! {
        #[test]
        fn joined_requests_are_split_unchanged(requests in requests()) {
            for other in &requests {
                prop_assert!(can_join(&requests[0], other));
            }
            let joined = join(&requests.iter().collect::<Vec<_>>());
            for tensor in &joined.inputs {
                prop_assert_eq!(tensor.check(), Ok(()));
            }
            let counts: Vec<_> = requests.iter().filter_map(rows).collect();
            let echo = InferResponse { parameters: Vec::new(), outputs: joined.inputs };
            let answers = split(&echo, &counts).unwrap();
            prop_assert_eq!(answers.len(), requests.len());
            for (answer, request) in answers.iter().zip(&requests) {
                prop_assert_eq!(&answer.outputs, &request.inputs);
            }
        }

        #[test]
        fn a_response_with_other_rows_is_not_split(requests in requests(), more in 1..5u64) {
            let counts: Vec<_> = requests.iter().filter_map(rows).collect();
            let joined = join(&requests.iter().collect::<Vec<_>>());
            let echo = InferResponse { parameters: Vec::new(), outputs: joined.inputs };
            let wrong = [&counts[..], &[more]].concat();
            prop_assert!(split(&echo, &wrong).unwrap_err().contains("its first dimension must be"));
        }
    }

    #[test]
    fn requests_that_differ_otherwise_are_not_joined() {
        let kind = |datatype, inner: &[u64]| (datatype, inner.to_vec());
        let request =
            |tensors: Vec<Tensor>| InferRequest { inputs: tensors, ..InferRequest::default() };
        let fp32 = kind(Datatype::Fp32, &[3]);
        let usual = || request(vec![tensor(0, &fp32, 2, 0)]);
        assert!(can_join(&usual(), &request(vec![tensor(0, &fp32, 1, 9)])));
        let parameter = Parameter { name: "p".into(), value: ParameterValue::Integer(1) };
        for other in [
            request(vec![tensor(0, &kind(Datatype::Int32, &[3]), 2, 0)]),
            request(vec![tensor(0, &kind(Datatype::Fp32, &[4]), 2, 0)]),
            request(vec![tensor(0, &kind(Datatype::Fp32, &[3, 1]), 2, 0)]),
            request(vec![tensor(1, &fp32, 2, 0)]),
            request(vec![tensor(0, &fp32, 2, 0), tensor(1, &fp32, 2, 0)]),
            request(vec![tensor(0, &fp32, 0, 0)]),
            request(Vec::new()),
            InferRequest { parameters: vec![parameter], ..usual() },
            InferRequest { outputs: vec!["y".into()], ..usual() },
        ] {
            assert!(!can_join(&usual(), &other), "{other:?}");
        }
    }

    #[test]
    fn truncated_data_is_an_error() {
        let mut output = tensor(0, &(Datatype::Bytes, Vec::new()), 3, 1);
        output.data.truncate(output.data.len() - 1);
        let response = InferResponse { parameters: Vec::new(), outputs: vec![output] };
        assert!(split(&response, &[1, 2]).unwrap_err().contains("too little data"));
    }
}
