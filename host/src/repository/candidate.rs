//! A version that can be loaded, with its files.

use std::sync::Arc;

use super::runtimes::Runtime;
use crate::files::ConfinedFile;
use crate::model::{ConfigTable, Digest, ModelName, ModelSettings, RuntimeInfo, Version};

/// A version that can be loaded: its files have settled and its component is structurally complete.
///
/// The digests describe the files as they were read. The files can change later, so code that
/// opens one must compare what it reads with the digest stored here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The model.
    pub name: ModelName,
    /// The version.
    pub version: Version,
    /// The component that runs.
    pub component: ComponentSource,
    /// Digest of the component.
    pub component_digest: Digest,
    /// Size of the component's file in bytes; 0 for a runtime, which is not the version's.
    pub component_size: u64,
    /// Time of the last status change of the component's or model's file by the file system's
    /// clock, or of the last modification of its object by the store's, in seconds and nanoseconds.
    pub changed_at: (i64, i64),
    /// The other files of the version, sorted by name. A model file is one of them.
    pub sidecars: Vec<Sidecar>,
    /// The golden requests, which the version must answer as recorded before it is published.
    pub golden: Option<Sidecar>,
    /// The model's settings.
    pub settings: Arc<ModelSettings>,
    /// The model's live configuration.
    pub live: Arc<LiveConfig>,
    /// Identity of the candidate: equal for equal component or runtime, model file, sidecars,
    /// golden requests and settings, at any path. The version policy, the pruning of old versions
    /// and the live configuration are not part of it, because a change of these does not reload a
    /// version.
    pub digest: Digest,
}

/// The place that a version's component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentSource {
    /// `model.wasm` of the version.
    File(ConfinedFile),
    /// A runtime, which serves the version's model file.
    Runtime(ModelFile),
}

/// The model file of a version, with its runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// File name, which is one of the sidecars.
    pub name: String,
    /// Format of the content, such as `onnx`; the extension of the name if the format is unknown.
    pub format: String,
    /// The runtime that serves it.
    pub runtime: Arc<Runtime>,
}

impl ComponentSource {
    /// The file of a component that is a model itself; `None` for a runtime.
    pub fn file(&self) -> Option<&ConfinedFile> {
        match self {
            ComponentSource::File(file) => Some(file),
            ComponentSource::Runtime(_) => None,
        }
    }

    /// The model file; `None` for a component that is a model itself.
    pub fn model_file(&self) -> Option<&ModelFile> {
        match self {
            ComponentSource::File(_) => None,
            ComponentSource::Runtime(model_file) => Some(model_file),
        }
    }
}

impl ModelFile {
    /// Describes the runtime.
    pub fn info(&self) -> RuntimeInfo {
        RuntimeInfo {
            name: self.runtime.name().to_owned(),
            digest: self.runtime.digest(),
            format: self.format.clone(),
            model_file: self.name.clone(),
        }
    }
}

impl From<ConfinedFile> for ComponentSource {
    fn from(file: ConfinedFile) -> Self {
        ComponentSource::File(file)
    }
}

impl Candidate {
    /// The runtime that serves its model file; `None` for a component that is a model itself.
    pub fn runtime(&self) -> Option<RuntimeInfo> {
        self.component.model_file().map(ModelFile::info)
    }

    /// Total size of all files in bytes.
    pub fn size(&self) -> u64 {
        let beside = self.sidecars.iter().chain(&self.golden);
        self.component_size + beside.map(|sidecar| sidecar.size).sum::<u64>()
    }
}

/// The part of a model's configuration that can change while it serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveConfig {
    /// Values of the last valid `config.toml`; empty if there is none.
    pub values: Arc<ConfigTable>,
    /// The fault of the present file; `None` if it is valid or absent.
    pub fault: Option<String>,
}

/// A file of a version besides its component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    /// File name, by which the model opens it.
    pub name: String,
    /// The file itself.
    pub file: ConfinedFile,
    /// Digest of its content.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
}

/// Returns the identity of a candidate. Compared only within one run of the host.
pub(super) fn identity(
    source: &ComponentSource,
    component: &Digest,
    sidecars: &[Sidecar],
    golden: Option<&Sidecar>,
    settings: &ModelSettings,
) -> Digest {
    // Destructured so that a new setting cannot be forgotten here.
    let ModelSettings {
        versions: _,
        prune: _,
        labels: _,
        isolation,
        instances,
        batching,
        limits,
        streaming,
        sessions,
        deferred,
        warmup,
        breaker,
        capabilities,
        routes,
    } = settings;
    let files: Vec<_> = sidecars.iter().map(|sidecar| (&sidecar.name, sidecar.digest)).collect();
    let golden = golden.map(|sidecar| sidecar.digest);
    let served = source.model_file().map(|file| (&file.name, &file.format, file.runtime.name()));
    let in_force = (
        isolation,
        instances,
        batching,
        limits,
        (streaming, sessions, deferred),
        warmup,
        breaker,
        (capabilities, routes),
    );

    // `Debug` quotes and escapes texts, so two different inputs never produce the same text.
    Digest::sha256(format!("{component} {served:?} {files:?} {golden:?} {in_force:?}").as_bytes())
}
