//! The description of an artifact as stored on disk. The model types themselves know no format.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use super::{ArtifactKey, Form, ModelInfo, Snapshot};
use crate::model::{Datatype, Metadata, Parameter, ParameterValue, TensorSpec};

/// The content of the description.
pub(super) struct Manifest {
    pub(super) info: ModelInfo,
    pub(super) form: Form,
    /// SHA-256 of the compiled file, in hexadecimal.
    pub(super) code: String,
    /// SHA-256 of each sidecar file, by name.
    pub(super) sidecars: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    code: String,
    form: FormDocument,
    sidecars: BTreeMap<String, String>,
    /// The reason why there is no snapshot; absent if there is one.
    no_snapshot: Option<String>,
    metadata: MetadataDocument,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FormDocument {
    Whole,
    /// The key of the code.
    State(String),
    /// The number of tables.
    Code(u32),
}

#[derive(Serialize, Deserialize)]
struct MetadataDocument {
    description: String,
    inputs: Vec<SpecDocument>,
    outputs: Vec<SpecDocument>,
    max_batch_size: u32,
    properties: Vec<(String, ValueDocument)>,
}

#[derive(Serialize, Deserialize)]
struct SpecDocument {
    name: String,
    datatype: String,
    shape: Vec<i64>,
    optional: bool,
}

#[derive(Serialize, Deserialize)]
enum ValueDocument {
    Boolean(bool),
    Integer(i64),
    /// The bits, because JSON cannot represent every number.
    Number(u64),
    Text(String),
}

pub(super) fn to_json(
    info: &ModelInfo,
    form: &Form,
    code: &str,
    sidecars: &BTreeMap<String, String>,
) -> io::Result<Vec<u8>> {
    let no_snapshot = match &info.snapshot {
        Snapshot::Taken => None,
        Snapshot::Impossible(reason) => Some(reason.clone()),
    };
    let metadata = metadata_document(&info.metadata);
    let form = match form {
        Form::Whole => FormDocument::Whole,
        Form::State { code } => FormDocument::State(code.to_string()),
        Form::Code { tables } => FormDocument::Code(*tables),
    };
    let sidecars = sidecars.clone();
    let document = Document { code: code.into(), form, sidecars, no_snapshot, metadata };

    Ok(serde_json::to_vec(&document)?)
}

pub(super) fn from_json(json: &[u8]) -> io::Result<Manifest> {
    let document: Document = serde_json::from_slice(json)?;
    let snapshot = document.no_snapshot.map_or(Snapshot::Taken, Snapshot::Impossible);
    let metadata = metadata(document.metadata)
        .ok_or_else(|| io::Error::other("it names an unknown datatype"))?;
    let form = match document.form {
        FormDocument::Whole => Form::Whole,
        FormDocument::State(code) => {
            let code = ArtifactKey::parse(&code);
            Form::State { code: code.ok_or_else(|| io::Error::other("it names no code"))? }
        }
        FormDocument::Code(tables) => Form::Code { tables },
    };

    Ok(Manifest {
        info: ModelInfo { metadata, snapshot },
        form,
        code: document.code,
        sidecars: document.sidecars,
    })
}

fn metadata_document(metadata: &Metadata) -> MetadataDocument {
    MetadataDocument {
        description: metadata.description.clone(),
        inputs: metadata.inputs.iter().map(spec_document).collect(),
        outputs: metadata.outputs.iter().map(spec_document).collect(),
        max_batch_size: metadata.max_batch_size,
        properties: metadata.properties.iter().map(property_document).collect(),
    }
}

fn spec_document(spec: &TensorSpec) -> SpecDocument {
    SpecDocument {
        name: spec.name.clone(),
        datatype: spec.datatype.name().into(),
        shape: spec.shape.clone(),
        optional: spec.optional,
    }
}

fn property_document(property: &Parameter) -> (String, ValueDocument) {
    let value = match &property.value {
        ParameterValue::Boolean(value) => ValueDocument::Boolean(*value),
        ParameterValue::Integer(value) => ValueDocument::Integer(*value),
        ParameterValue::Number(value) => ValueDocument::Number(value.to_bits()),
        ParameterValue::Text(value) => ValueDocument::Text(value.clone()),
    };
    (property.name.clone(), value)
}

fn metadata(document: MetadataDocument) -> Option<Metadata> {
    Some(Metadata {
        description: document.description,
        inputs: document.inputs.into_iter().map(spec).collect::<Option<_>>()?,
        outputs: document.outputs.into_iter().map(spec).collect::<Option<_>>()?,
        max_batch_size: document.max_batch_size,
        properties: document.properties.into_iter().map(property).collect(),
    })
}

fn spec(document: SpecDocument) -> Option<TensorSpec> {
    let datatype = Datatype::from_name(&document.datatype)?;
    Some(TensorSpec {
        name: document.name,
        datatype,
        shape: document.shape,
        optional: document.optional,
    })
}

fn property((name, value): (String, ValueDocument)) -> Parameter {
    let value = match value {
        ValueDocument::Boolean(value) => ParameterValue::Boolean(value),
        ValueDocument::Integer(value) => ParameterValue::Integer(value),
        ValueDocument::Number(bits) => ParameterValue::Number(f64::from_bits(bits)),
        ValueDocument::Text(value) => ParameterValue::Text(value),
    };
    Parameter { name, value }
}
