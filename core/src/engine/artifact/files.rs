//! The files of one artifact: writing them, and verifying that they are unchanged.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{ArtifactKey, Form, ModelInfo, Snapshot, StoredFile, manifest};
use crate::files::digest_of;
use crate::model::{Digest, Metadata};

pub(super) const CODE: &str = "model.cwasm";
pub(super) const MANIFEST: &str = "about.json";
const SIDECARS: &str = "sidecars";

/// The content of an artifact to be written.
pub(in crate::engine) struct ArtifactContent<'a> {
    code: &'a [u8],
    manifest: Vec<u8>,
    sidecars: Option<&'a BTreeMap<String, Bytes>>,
}

impl<'a> ArtifactContent<'a> {
    /// The artifact of a model, with its compiled file. It includes the sidecars only if `load`
    /// runs in every instance.
    pub(in crate::engine) fn new(
        code: &'a [u8],
        form: &Form,
        info: &ModelInfo,
        sidecars: &'a BTreeMap<String, Bytes>,
    ) -> io::Result<Self> {
        let sidecars = matches!(info.snapshot, Snapshot::Impossible(_)).then_some(sidecars);

        let digests =
            sidecars.into_iter().flatten().map(|(name, content)| (name.clone(), sha256(content)));
        let manifest = manifest::to_json(info, form, &sha256(code), &digests.collect())?;

        Ok(ArtifactContent { code, manifest, sidecars })
    }

    /// The artifact of code that models share.
    pub(in crate::engine) fn of_shared_code(code: &'a [u8], tables: u32) -> io::Result<Self> {
        let info = ModelInfo { metadata: Metadata::default(), snapshot: Snapshot::Taken };
        let form = Form::Code { tables };
        let manifest = manifest::to_json(&info, &form, &sha256(code), &BTreeMap::new())?;
        Ok(ArtifactContent { code, manifest, sidecars: None })
    }

    /// The size of all files together, in bytes.
    pub(in crate::engine) fn size(&self) -> u64 {
        let sidecars = self.sidecars.into_iter().flatten().map(|(_, content)| content.len());
        (self.code.len() + self.manifest.len() + sidecars.sum::<usize>()) as u64
    }
}

/// Writes an artifact's files into a staging directory.
pub(in crate::engine) fn write_artifact(
    directory: &Path,
    content: &ArtifactContent<'_>,
) -> io::Result<()> {
    if let Some(sidecars) = content.sidecars {
        fs::create_dir(directory.join(SIDECARS))?;
        for (name, content) in sidecars {
            write_synced(&directory.join(SIDECARS).join(name), content)?;
        }
    }

    write_synced(&directory.join(CODE), content.code)?;
    write_synced(&directory.join(MANIFEST), &content.manifest)
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    io::Write::write_all(&mut file, content)?;
    file.set_permissions(fs::Permissions::from_mode(0o400))?;
    file.sync_all()
}

/// The files and the description of an artifact.
pub(in crate::engine) struct ArtifactFiles {
    pub(in crate::engine) code: PathBuf,
    pub(in crate::engine) form: Form,
    pub(super) info: ModelInfo,
    pub(super) sidecars: BTreeMap<String, StoredFile>,
}

/// Reads an artifact and checks every file against its recorded digest. Fails if any differs.
pub(in crate::engine) fn read_artifact(directory: &Path) -> io::Result<ArtifactFiles> {
    let recorded = read_manifest(directory)?;

    let code = directory.join(CODE);
    check_digest(&code, &recorded.code, &sha256_file(&code)?)?;

    let mut sidecars = BTreeMap::new();
    for (name, digest) in &recorded.sidecars {
        let path = directory.join(SIDECARS).join(name);
        check_digest(&path, digest, &sha256_file(&path)?)?;
        let size = fs::metadata(&path)?.len();
        sidecars.insert(name.clone(), StoredFile { path, size });
    }

    Ok(ArtifactFiles { code, form: recorded.form, info: recorded.info, sidecars })
}

/// Returns the key of the code that an artifact needs; `None` if it needs no other artifact.
pub(super) fn needed_code(directory: &Path) -> io::Result<Option<ArtifactKey>> {
    Ok(match read_manifest(directory)?.form {
        Form::State { code } => Some(code),
        Form::Whole | Form::Code { .. } => None,
    })
}

fn read_manifest(directory: &Path) -> io::Result<manifest::Manifest> {
    manifest::from_json(&fs::read(directory.join(MANIFEST))?)
}

/// The size of all files of an artifact, in bytes.
pub(super) fn directory_size(directory: &Path) -> io::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        size += if metadata.is_dir() { directory_size(&entry.path())? } else { metadata.len() };
    }
    Ok(size)
}

fn check_digest(path: &Path, recorded: &str, actual: &str) -> io::Result<()> {
    if recorded == actual {
        return Ok(());
    }

    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{name} does not match its recorded digest"),
    ))
}

fn sha256(bytes: &[u8]) -> String {
    Digest::sha256(bytes).to_string()
}

fn sha256_file(path: &Path) -> io::Result<String> {
    Ok(digest_of(fs::File::open(path)?)?.to_string())
}
