//! The report of a model on its answer: the tokens, and the reason of its end.
//!
//! A report is an output or a parameter of these names. Outputs are asked for by name, so that a
//! model need not answer others with them.

use crate::model::{Datatype, InferResponse, Metadata, ParameterValue, Tensor, bytes_elements};

pub(super) const PROMPT_TOKENS: &str = "prompt_tokens";
const COMPLETION_TOKENS: &str = "completion_tokens";
const FINISH_REASON: &str = "finish_reason";

/// The report of the parts of an answer so far. Of several reports the last one counts.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) prompt_tokens: Option<u64>,
    pub(super) completion_tokens: Option<u64>,
    pub(super) finish_reason: Option<&'static str>,
}

impl Report {
    /// Returns the outputs to ask a model for: `output` and those that report; none, which stands
    /// for all, if none reports.
    pub(super) fn outputs(metadata: &Metadata, output: &str) -> Vec<String> {
        let names = [PROMPT_TOKENS, COMPLETION_TOKENS, FINISH_REASON];
        let declared = names.into_iter().filter(|name| {
            metadata.outputs.iter().any(|spec| spec.name == *name && spec.name != output)
        });

        let mut outputs: Vec<String> = declared.map(str::to_owned).collect();
        if !outputs.is_empty() {
            outputs.push(output.to_owned());
        }
        outputs
    }

    /// Adds the report of a part.
    pub(super) fn add(&mut self, part: &InferResponse) {
        let latest = |name, earlier| count(part, name).or(earlier);
        self.prompt_tokens = latest(PROMPT_TOKENS, self.prompt_tokens);
        self.completion_tokens = latest(COMPLETION_TOKENS, self.completion_tokens);
        self.finish_reason = finish_reason(part).or(self.finish_reason);
    }
}

/// Returns a count that a part reports: the sum of the elements of an output, or a parameter.
fn count(part: &InferResponse, name: &str) -> Option<u64> {
    let output = part.outputs.iter().find(|output| output.name == name);
    if let Some(output) = output {
        return sum(output);
    }

    let parameter = part.parameters.iter().rfind(|parameter| parameter.name == name)?;
    match parameter.value {
        ParameterValue::Integer(count) => u64::try_from(count).ok(),
        _ => None,
    }
}

fn sum(tensor: &Tensor) -> Option<u64> {
    let size = usize::try_from(tensor.datatype.size()?).ok()?;
    let mut counts = tensor.data.chunks_exact(size).map(|element| whole(tensor.datatype, element));
    counts.try_fold(0u64, |sum, count| sum.checked_add(count?))
}

fn whole(datatype: Datatype, element: &[u8]) -> Option<u64> {
    match datatype {
        Datatype::Int32 => i32::from_le_bytes(element.try_into().ok()?).try_into().ok(),
        Datatype::Int64 => i64::from_le_bytes(element.try_into().ok()?).try_into().ok(),
        Datatype::Uint32 => Some(u32::from_le_bytes(element.try_into().ok()?).into()),
        Datatype::Uint64 => Some(u64::from_le_bytes(element.try_into().ok()?)),
        _ => None,
    }
}

/// Returns the reason that a part reports, if OpenAI's clients know it.
fn finish_reason(part: &InferResponse) -> Option<&'static str> {
    const REASONS: [&str; 3] = ["stop", "length", "content_filter"];

    let output = part.outputs.iter().find(|output| output.name == FINISH_REASON);
    let reported: &[u8] = match output {
        Some(output) => bytes_elements(&output.data).next()?.ok()?,
        None => {
            let parameters = &part.parameters;
            let found = parameters.iter().rfind(|parameter| parameter.name == FINISH_REASON)?;
            let ParameterValue::Text(reason) = &found.value else { return None };
            reason.as_bytes()
        }
    };

    REASONS.into_iter().find(|reason| reason.as_bytes() == reported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Parameter, TensorSpec, push_bytes_element};

    fn tensor(name: &str, datatype: Datatype, data: Vec<u8>, elements: u64) -> Tensor {
        Tensor { name: name.into(), datatype, shape: vec![elements], data }
    }

    #[test]
    fn outputs_and_parameters_report() {
        let mut reason = Vec::new();
        push_bytes_element(&mut reason, b"length").unwrap();
        let counts = [3i64, 4].iter().flat_map(|count| count.to_le_bytes()).collect();

        let outputs = vec![
            tensor("prompt_tokens", Datatype::Int64, counts, 2),
            tensor("finish_reason", Datatype::Bytes, reason, 1),
        ];
        let value = ParameterValue::Integer(9);
        let parameters = vec![Parameter { name: "completion_tokens".into(), value }];

        let mut report = Report::default();
        report.add(&InferResponse { outputs, parameters });
        report.add(&InferResponse::default());
        assert_eq!((report.prompt_tokens, report.completion_tokens), (Some(7), Some(9)));
        assert_eq!(report.finish_reason, Some("length"));
    }

    #[test]
    fn other_values_report_nothing() {
        let outputs = vec![
            tensor("prompt_tokens", Datatype::Int64, (-1i64).to_le_bytes().into(), 1),
            tensor("completion_tokens", Datatype::Fp32, 1f32.to_le_bytes().into(), 1),
        ];
        let value = ParameterValue::Text("tired".into());
        let parameters = vec![Parameter { name: "finish_reason".into(), value }];

        let mut report = Report::default();
        report.add(&InferResponse { outputs, parameters });
        assert_eq!((report.prompt_tokens, report.completion_tokens), (None, None));
        assert_eq!(report.finish_reason, None);
    }

    #[test]
    fn reports_are_asked_for_by_name() {
        let spec = |name: &str| TensorSpec {
            name: name.into(),
            datatype: Datatype::Int64,
            shape: vec![1],
            optional: true,
        };
        let mut metadata = Metadata { outputs: vec![spec("text")], ..Metadata::default() };
        assert!(Report::outputs(&metadata, "text").is_empty());

        metadata.outputs.push(spec("prompt_tokens"));
        assert_eq!(Report::outputs(&metadata, "text"), ["prompt_tokens", "text"]);
    }
}
