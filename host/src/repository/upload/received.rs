//! A completely received version that is not in place yet.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::staged_files::{StagedFile, StagedFiles};
use super::version_dir::{self, PutOutcome};
use super::{UploadContext, UploadError, UploadTarget};
use crate::model::{LoadError, Stage};
use crate::repository::candidate::identity;
use crate::repository::confined_dir::EntryKind;
use crate::repository::file_cache::FileCache;
use crate::repository::layout::{COMPONENT, SETTINGS, printable};
use crate::repository::scan::{StagedFolder, VersionParts, read_parts, read_staged};
use crate::repository::{Candidate, Digest};
use crate::tenant::{AllowedOrigins, Tenant};

/// A completely received version. Dropping it removes the staged files, unless they were placed,
/// and gives back the quota.
pub struct ReceivedUpload {
    context: UploadContext,
    /// SHA-256 of the body.
    digest: Digest,
    content: Content,
    /// Cache of the files next to it, so that each is read once.
    cache: FileCache,
}

/// The received files.
pub(super) enum Content {
    /// The component of the version, whose other files stay.
    Single(SingleFile),
    /// The model file of the version, which has no other files.
    ModelFile(StagedFile),
    /// All files of the version.
    Folder(StagedFiles),
}

/// A body that is one file.
pub(super) struct SingleFile {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Time of the file's last status change.
    pub(super) changed_at: (i64, i64),
}

impl ReceivedUpload {
    pub(super) fn new(context: UploadContext, digest: Digest, content: Content) -> Self {
        // No settle time: the files are checked again when the version is loaded to serve.
        let cache = FileCache::new(Duration::ZERO, context.uploads.meter.clone());
        ReceivedUpload { context, digest, content, cache }
    }

    /// The tenant that uploaded it.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.context.tenant
    }

    /// The version that it will be.
    pub fn target(&self) -> &UploadTarget {
        &self.context.target
    }

    /// SHA-256 of the body.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns true if the same content is already in place.
    pub fn is_already_present(&self) -> Result<bool, UploadError> {
        let folder = self.version_path();
        match &self.content {
            Content::Single(SingleFile { digest, size, .. }) => {
                self.holds(&folder.join(COMPONENT), *size, *digest)
            }
            Content::ModelFile(file) => self.holds_all(&folder, std::slice::from_ref(file), None),
            Content::Folder(StagedFiles { files, settings }) => {
                self.holds_all(&folder, files, settings.as_ref())
            }
        }
    }

    /// Returns the candidate that it will be, with the files now present next to its place.
    pub fn candidate(&mut self) -> Result<Candidate, UploadError> {
        if let Content::ModelFile(file) = &self.content {
            self.check_alone(&file.name)?;
        }
        let Content::Single(single) = &self.content else { return self.folder_candidate() };
        let &SingleFile { digest: component_digest, size, changed_at } = single;
        let UploadTarget { name, version } = self.context.target.clone();
        let runtimes = self.context.uploads.runtimes.catalog();
        let parts = read_parts(&self.context.tree, &mut self.cache, &runtimes, &name, version);
        let VersionParts { settings, live, sidecars, golden } = parts.map_err(unreadable)?;
        let component = self.context.tree.file(self.context.staged.component()).into();
        let digest = identity(&component, &component_digest, &sidecars, golden.as_ref(), &settings);

        Ok(Candidate {
            name,
            version,
            component,
            component_digest,
            component_size: size,
            changed_at,
            sidecars,
            golden,
            settings,
            live,
            digest,
        })
    }

    /// Moves it into place. Fails if the files next to its place differ from those it was validated
    /// with.
    pub fn put(&mut self, validated: &Candidate) -> Result<PutOutcome, UploadError> {
        let uploads = self.context.uploads.clone();
        let _lock = uploads.lock();

        if self.candidate()?.digest != validated.digest {
            let reason =
                "the files next to the component changed during validation; upload it again";
            return Err(UploadError::Conflict(reason.into()));
        }

        let UploadContext { tree, target, staged, .. } = &self.context;
        match &self.content {
            Content::Single(_) => version_dir::put(tree, target, staged),
            Content::ModelFile(_) => version_dir::put_all(tree, target, staged, false),
            Content::Folder(files) => {
                version_dir::put_all(tree, target, staged, files.settings.is_some())
            }
        }
    }

    // === Archives and model files ===

    fn folder_candidate(&mut self) -> Result<Candidate, UploadError> {
        let has_settings =
            matches!(&self.content, Content::Folder(files) if files.settings.is_some());
        let adds_settings = has_settings && self.adds_settings()?;

        let UploadContext { tree, target, staged, .. } = &self.context;
        let UploadTarget { name, version } = target;
        let staged = StagedFolder {
            settings: has_settings.then(|| staged.path()),
            version: staged.version_path(),
        };
        let runtimes = self.context.uploads.runtimes.catalog();
        let candidate = read_staged(tree, &mut self.cache, &runtimes, name, *version, &staged);
        let candidate = candidate.map_err(unreadable)?;

        if adds_settings {
            self.check_uploaded_settings(&candidate)?;
        }
        Ok(candidate)
    }

    /// Returns true if the settings of the archive will be new in the repository. Fails if they
    /// would change those of other versions.
    fn adds_settings(&self) -> Result<bool, UploadError> {
        let Content::Folder(StagedFiles { settings: Some(settings), .. }) = &self.content else {
            return Ok(false);
        };

        let model = self.model_path();
        if self.holds(&model.join(SETTINGS), settings.size, settings.digest)? {
            return Ok(false);
        }
        if version_dir::has_versions(&self.context.tree, &self.context.target)? {
            return Err(UploadError::Conflict(format!(
                "{SETTINGS} in the archive differs from {}/{SETTINGS}, which applies to all versions of the model; \
                 leave it out, or change it in the repository",
                self.context.target.name
            )));
        }
        Ok(true)
    }

    /// Fails if new settings name origins, and the tenant has no list of granted ones. Such a model
    /// may call any address, so only those who can write to the repository may allow it.
    fn check_uploaded_settings(&self, candidate: &Candidate) -> Result<(), UploadError> {
        let is_unlimited = self.context.tenant.settings().grants.http == AllowedOrigins::Any;
        if is_unlimited && !candidate.settings.capabilities.http.is_empty() {
            return Err(LoadError::new(
                Stage::Read,
                "model.toml: capabilities.http cannot be uploaded to a server without [tenants], whose models may call \
                 any address; put model.toml into the model's folder",
            )
            .into());
        }
        Ok(())
    }

    /// Fails if the version has files besides this model file: they would be lost, or not fit.
    fn check_alone(&self, name: &str) -> Result<(), UploadError> {
        let present = match self.context.tree.list(&self.version_path()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let Some(other) = present.iter().find(|entry| entry.name != name) else { return Ok(()) };

        Err(UploadError::Conflict(format!(
            "the version has other files, such as {}, and {name} would be its only one; upload a tar archive of all its \
             files, or delete the version first",
            printable(&other.name)
        )))
    }

    /// Returns true if a folder holds these files and no others, and the model has these settings.
    fn holds_all(
        &self,
        folder: &Path,
        files: &[StagedFile],
        settings: Option<&StagedFile>,
    ) -> Result<bool, UploadError> {
        let present = match self.context.tree.list(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let is_staged = |name: &str| files.iter().any(|file| file.name == name);
        let same = present.len() == files.len()
            && present
                .iter()
                .all(|entry| matches!(entry.kind, EntryKind::File(_)) && is_staged(&entry.name));
        if !same {
            return Ok(false);
        }

        let settings = settings.into_iter().map(|file| (self.model_path(), file));
        let files = files.iter().map(|file| (folder.to_owned(), file));
        for (folder, StagedFile { name, size, digest }) in files.chain(settings) {
            if !self.holds(&folder.join(name), *size, *digest)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns true if a file of the repository has this content.
    fn holds(&self, path: &Path, size: u64, expected: Digest) -> Result<bool, UploadError> {
        let (file, stamp) = match self.context.tree.open_file(path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if stamp.size != size {
            return Ok(false);
        }

        let (_, digest) = self.context.uploads.meter.clone().hash_file(file, stamp);
        Ok(digest? == Some(expected))
    }

    fn model_path(&self) -> PathBuf {
        self.context.target.name.as_str().into()
    }

    fn version_path(&self) -> PathBuf {
        self.model_path().join(self.context.target.version.to_string())
    }
}

fn unreadable(reason: String) -> UploadError {
    LoadError::new(Stage::Read, reason).into()
}
