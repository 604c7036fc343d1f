//! Inputs that tables hide: those called like a key that holds a table.

use crate::capability::{Level, LogLine};
use crate::model::{Metadata, RequestId};

/// The keys of a request that hold a table. Each wins over a field of the same name.
pub const TABLE_KEYS: [&str; 4] = ["dataframe_split", "dataframe_records", "instances", "inputs"];

/// Returns a line for the log of a model that has an input of such a name.
pub(super) fn warning(metadata: &Metadata) -> Option<LogLine> {
    let hidden = metadata.inputs.iter().find(|spec| TABLE_KEYS.contains(&spec.name.as_str()))?;
    let message = format!(
        "the input '{}' has the name of a key that holds a table; in a table, send it within \
         {{\"instances\": [record]}}",
        hidden.name
    );

    Some(LogLine {
        level: Level::Warn,
        context: "predict".into(),
        message,
        request_id: RequestId::none(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Datatype, TensorSpec};

    #[test]
    fn only_hidden_inputs_are_warned_of() {
        let metadata = |name: &str| Metadata {
            inputs: vec![TensorSpec {
                name: name.into(),
                datatype: Datatype::Bytes,
                shape: vec![1],
                optional: true,
            }],
            ..Metadata::default()
        };

        assert!(warning(&metadata("instances")).unwrap().message.contains("'instances'"));
        assert!(warning(&metadata("instance")).is_none());
    }
}
