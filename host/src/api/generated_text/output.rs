//! The output of a model that holds its text.

use crate::model::{Datatype, Metadata, TensorSpec};

/// Returns the output that holds the text of a model: `text_output`, or the only output of texts
/// that is always there. `None` if there is no such output.
pub(in crate::api) fn text_output(metadata: &Metadata) -> Option<&TensorSpec> {
    let texts = || metadata.outputs.iter().filter(|spec| spec.datatype == Datatype::Bytes);

    if let Some(named) = texts().find(|spec| spec.name == "text_output") {
        return Some(named);
    }

    let mut required = texts().filter(|spec| !spec.optional);
    required.next().filter(|_| required.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(outputs: &[(&str, Datatype, bool)]) -> Option<String> {
        let spec = |&(name, datatype, optional): &(&str, _, _)| TensorSpec {
            name: name.into(),
            datatype,
            shape: vec![1],
            optional,
        };
        let outputs = outputs.iter().map(spec).collect();
        let metadata = Metadata { outputs, ..Metadata::default() };
        text_output(&metadata).map(|spec| spec.name.clone())
    }

    #[test]
    fn the_text_is_found_by_name_or_as_the_only_one() {
        let (text, number) = (Datatype::Bytes, Datatype::Fp32);
        let both = [("a", text, false), ("text_output", text, false)];
        assert_eq!(found(&both).as_deref(), Some("text_output"));

        let only = [("summary", text, true), ("a", text, false), ("n", number, false)];
        assert_eq!(found(&only).as_deref(), Some("a"));

        assert_eq!(found(&[("a", text, false), ("b", text, false)]), None);
        assert_eq!(found(&[("text_output", number, false)]), None);
    }
}
