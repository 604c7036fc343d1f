//! The outputs that a request asks for, and the form of each.

use std::num::NonZeroU64;

use super::parameters::{RawParameter, refuse_shared_memory, take_boolean, take_unsigned};
use crate::api::json::shorten;
use crate::model::{Datatype, Metadata};

/// The outputs that the caller requests, and the form of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::api) struct OutputSelection {
    /// True if outputs without an explicit encoding are binary.
    pub(in crate::api) default_binary: bool,
    /// The requested outputs; empty for all outputs.
    pub(in crate::api) requested: Vec<RequestedOutput>,
}

/// An output that the caller requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::api) struct RequestedOutput {
    pub(in crate::api) name: String,
    /// The explicit encoding, if any: true for binary data.
    pub(in crate::api) binary: Option<bool>,
    /// The number of largest elements to return in place of the output; `None` for the output.
    pub(in crate::api) classes: Option<NonZeroU64>,
}

impl RequestedOutput {
    /// Reads the parameters of a requested output. Those without a meaning are ignored. Fails with
    /// a text for the caller.
    pub(in crate::api) fn new(
        name: String,
        mut parameters: Vec<RawParameter>,
    ) -> Result<Self, String> {
        refuse_shared_memory(&parameters)?;
        let binary = take_boolean(&mut parameters, "binary_data")?;
        let classes = take_unsigned(&mut parameters, "classification")?.and_then(NonZeroU64::new);

        Ok(RequestedOutput { name, binary, classes })
    }
}

impl OutputSelection {
    /// Checks the request's outputs against the model's. Fails with a text for the caller if one
    /// that is to be classified has no numbers.
    pub(in crate::api) fn check(&self, metadata: &Metadata) -> Result<(), String> {
        let classified = self.requested.iter().filter(|output| output.classes.is_some());

        for output in classified {
            let spec = metadata.outputs.iter().find(|spec| spec.name == output.name);
            if let Some(datatype @ (Datatype::Bytes | Datatype::Bool)) =
                spec.map(|spec| spec.datatype)
            {
                let name = shorten(&output.name);
                return Err(format!(
                    "output '{name}' is of {datatype}, and 'classification' ranks numbers; ask for the output itself"
                ));
            }
        }

        Ok(())
    }

    /// True if the output is part of the response.
    pub(in crate::api) fn is_requested(&self, name: &str) -> bool {
        self.requested.is_empty() || self.find(name).is_some()
    }

    /// True if the output is encoded as binary data.
    pub(in crate::api) fn is_binary(&self, name: &str) -> bool {
        self.find(name).and_then(|output| output.binary).unwrap_or(self.default_binary)
    }

    /// Returns the number of largest elements to return in place of the output, if any.
    pub(in crate::api) fn classes(&self, name: &str) -> Option<NonZeroU64> {
        self.find(name)?.classes
    }

    /// True if an output is to be classified.
    pub(in crate::api) fn has_classes(&self) -> bool {
        self.requested.iter().any(|output| output.classes.is_some())
    }

    fn find(&self, name: &str) -> Option<&RequestedOutput> {
        self.requested.iter().find(|output| output.name == name)
    }
}
