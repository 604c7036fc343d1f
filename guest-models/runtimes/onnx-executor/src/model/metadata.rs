//! The description of a model.

use std::collections::BTreeMap;

use model_file::{Class, SavedMetadata};
use serde_json::Value;
use wardian_sdk::{Error, Metadata, TensorSpec};

use super::inputs::ModelInput;
use super::outputs::ModelOutput;
use crate::proto::ModelProto;
use crate::value_type::Classes;

/// Rows of joined requests. More of them gain nothing, and the answer of the first waits longer.
const MAX_BATCH: u32 = 4096;

/// Inputs and outputs of a model.
pub(super) struct Described<'a> {
    pub(super) inputs: &'a [ModelInput],
    pub(super) outputs: &'a [ModelOutput],
    /// True if requests may be joined.
    pub(super) is_batchable: bool,
}

impl Described<'_> {
    /// Returns the metadata.
    ///
    /// # Errors
    /// Failed if the classes of `metadata.json` are not those of the file.
    pub(super) fn metadata(
        &self,
        proto: &ModelProto,
        operators: &BTreeMap<String, usize>,
        saved: &SavedMetadata,
    ) -> Result<Metadata, Error> {
        let mut metadata = saved.add_to(Metadata::new());
        metadata.inputs.extend(self.inputs.iter().map(input_spec));
        metadata.outputs.extend(self.outputs.iter().map(output_spec));
        if self.is_batchable {
            metadata = metadata.max_batch_size(MAX_BATCH);
        }

        let library = format!("{} {}", proto.producer_name, proto.producer_version);
        let operators: Vec<_> =
            operators.iter().map(|(name, nodes)| format!("{name} {nodes}")).collect();
        let mut metadata = metadata
            .property("format", "onnx")
            .property("library", library.trim())
            .property("operators", operators.join(", "));
        if let Some(classes) = self.classes(saved)? {
            metadata = metadata.property("classes", classes);
        }
        if !saved.columns.is_empty() {
            let columns = serde_json::json!(saved.columns).to_string();
            metadata = metadata.property("columns", columns);
        }
        Ok(metadata)
    }

    /// The classes as a JSON array: those of ZipMap, else those that were saved beside the file.
    fn classes(&self, saved: &SavedMetadata) -> Result<Option<String>, Error> {
        let classes = self.outputs.iter().find_map(|output| output.classes.as_ref());
        let from_file = classes.map(|classes| json(classes));
        let from_saved =
            saved.classes.as_ref().map(|classes| classes.iter().map(saved_class).collect());
        match (from_file, from_saved) {
            (Some(file), Some::<Value>(saved)) if file != saved => Err(Error::failed(
                format_args!("metadata.json names the classes {saved}, and the file {file}"),
            )),
            (file, saved) => Ok(file.or(saved).map(|classes| classes.to_string())),
        }
    }
}

fn json(classes: &Classes) -> Value {
    match classes {
        Classes::Numbers(numbers) => numbers.as_slice().into(),
        Classes::Texts(texts) => texts.iter().map(|text| &**text).collect(),
    }
}

fn saved_class(class: &Class) -> Value {
    match class {
        Class::Number(number) => (*number).into(),
        Class::Text(text) => text.as_str().into(),
    }
}

fn input_spec(input: &ModelInput) -> TensorSpec {
    TensorSpec {
        name: input.name.clone(),
        datatype: input.element.datatype(),
        shape: input.shape.clone(),
        optional: input.default.is_some(),
    }
}

fn output_spec(output: &ModelOutput) -> TensorSpec {
    TensorSpec {
        name: output.name.clone(),
        datatype: output.element.datatype(),
        shape: output.described().to_vec(),
        optional: false,
    }
}
