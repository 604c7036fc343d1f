//! Writes the body of an upload to disk piece by piece, within the tenant's quota.

use std::fs::File;
use std::io::Write;

use sha2::{Digest as _, Sha256};

use super::archive::ArchiveReader;
use super::gzip::GzipReader;
use super::limits::check_size;
use super::received::{Content, ReceivedUpload, SingleFile};
use super::staged_files::{StagedFile, StagedFileWriter};
use super::{UploadContext, UploadError};
use crate::model::{LoadError, Stage};
use crate::repository::confined_dir::stamp;
use crate::repository::file_cache::FileRole;
use crate::repository::file_kind::{PREFIX_LENGTH, by_content, formats, refused_kind};
use crate::repository::layout::{COMPONENT, model_file_name};
use crate::repository::{Digest, IncompleteComponent, check_whole};
use crate::tenant::Resource;

/// An upload in progress. Dropping it removes everything written.
pub struct Upload {
    context: UploadContext,
    body: Body,
    hasher: Sha256,
    size: u64,
}

/// The body of an upload, by what its first bytes say.
enum Body {
    /// Not enough bytes have arrived.
    Unknown(Vec<u8>),
    Component(File),
    /// With its name in the version's folder.
    ModelFile(File, String),
    Tar(Box<ArchiveReader<StagedFileWriter>>),
    Gzip(Box<GzipReader<StagedFileWriter>>),
}

/// The format of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyFormat {
    Component,
    /// With its extension.
    ModelFile(&'static str),
    Tar,
    Gzip,
}

impl Upload {
    pub(super) fn begin(context: UploadContext) -> Self {
        Upload { context, body: Body::Unknown(Vec::new()), hasher: Sha256::new(), size: 0 }
    }

    /// Writes the next piece of the body. Fails if a limit is exceeded, if an archive is not
    /// accepted, and on an I/O error; the upload must then be dropped.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), UploadError> {
        self.hasher.update(piece);
        self.size = self.size.saturating_add(piece.len() as u64);

        let Body::Unknown(prefix) = &mut self.body else { return self.write_body(piece) };
        prefix.extend(piece);
        match prefix.len() >= PREFIX_LENGTH || is_known_early(prefix) {
            true => self.begin_body(),
            false => Ok(()),
        }
    }

    /// Ends the body. Fails if it is neither a model file, nor a complete component, nor a complete
    /// archive.
    pub fn finish(mut self) -> Result<ReceivedUpload, UploadError> {
        if let Body::Unknown(_) = self.body {
            self.begin_body()?;
        }

        let Upload { mut context, body, hasher, size } = self;
        let digest = Digest::from(hasher);
        let archive = match body {
            Body::Component(file) => {
                let content = Content::Single(finish_component(&context, &file, size, digest)?);
                return Ok(ReceivedUpload::new(context, digest, content));
            }
            Body::ModelFile(file, name) => {
                sync(&context, &file)?;
                let content = Content::ModelFile(StagedFile { name, size, digest });
                return Ok(ReceivedUpload::new(context, digest, content));
            }
            Body::Tar(archive) => archive.finish()?,
            Body::Gzip(archive) => archive.finish()?,
            Body::Unknown(_) => return Err(IncompleteComponent::Empty.into()),
        };

        let (files, storage) = archive.finish()?;
        context.storage = storage;
        Ok(ReceivedUpload::new(context, digest, Content::Folder(files)))
    }

    /// Decides by the first bytes what the body is.
    fn begin_body(&mut self) -> Result<(), UploadError> {
        let Body::Unknown(prefix) = &self.body else { return Ok(()) };
        let begun = match body_format(prefix)? {
            BodyFormat::Component => {
                check_size(&self.context.tenant, self.context.announced.size, FileRole::Component)?;
                Body::Component(self.context.staged.create_in_version(COMPONENT)?)
            }
            BodyFormat::ModelFile(extension) => {
                let name = model_file_name(extension);
                Body::ModelFile(self.context.staged.create_in_version(&name)?, name)
            }
            BodyFormat::Tar => Body::Tar(Box::new(ArchiveReader::new(self.file_writer()?))),
            BodyFormat::Gzip => Body::Gzip(Box::new(GzipReader::new(self.file_writer()?))),
        };

        let before = std::mem::replace(&mut self.body, begun);
        let Body::Unknown(prefix) = before else { return Ok(()) };
        self.write_body(&prefix)
    }

    /// Writes to a body of a known format.
    fn write_body(&mut self, piece: &[u8]) -> Result<(), UploadError> {
        match &mut self.body {
            Body::Unknown(_) => Ok(()),
            Body::Tar(archive) => archive.write(piece),
            Body::Gzip(archive) => archive.write(piece),
            Body::Component(_) | Body::ModelFile(..) => self.write_file(piece),
        }
    }

    fn write_file(&mut self, piece: &[u8]) -> Result<(), UploadError> {
        let (file, role) = match &mut self.body {
            Body::Component(file) => (file, FileRole::Component),
            Body::ModelFile(file, _) => (file, FileRole::ModelFile),
            Body::Unknown(_) | Body::Tar(_) | Body::Gzip(_) => return Ok(()),
        };
        check_size(&self.context.tenant, self.size, role)?;
        self.context.storage.grow(piece.len() as u64)?;
        Ok(file.write_all(piece)?)
    }

    fn file_writer(&self) -> Result<StagedFileWriter, UploadError> {
        let UploadContext { tenant, staged, .. } = &self.context;
        staged.create_version()?;
        let storage = tenant.take(Resource::Storage, 0)?;
        Ok(StagedFileWriter::new(tenant.clone(), staged.clone(), storage))
    }
}

/// Returns true if these first bytes of a body decide its format.
fn is_known_early(prefix: &[u8]) -> bool {
    // A tar archive begins with the name of a file, and no model file with a zero.
    matches!(prefix, [0, ..] | [0x1f, 0x8b, ..])
}

/// Returns the format of a body that begins with these bytes. Fails if it is a model that is not
/// served, such as a pickle.
fn body_format(prefix: &[u8]) -> Result<BodyFormat, UploadError> {
    if matches!(prefix, [0x1f, 0x8b, ..]) {
        return Ok(BodyFormat::Gzip);
    }
    if prefix.get(257..262) == Some(b"ustar") {
        return Ok(BodyFormat::Tar);
    }
    if let Some(kind) = refused_kind("", prefix) {
        let reason = format!("it is {kind}; {}", kind.remedy());
        return Err(LoadError::new(Stage::Validate, reason).into());
    }

    let format = by_content(prefix).and_then(|kind| kind.format());
    Ok(format.and_then(usual_extension).map_or(BodyFormat::Component, BodyFormat::ModelFile))
}

/// Returns the extension of a model file of a format that is told by its content.
fn usual_extension(format: &str) -> Option<&'static str> {
    match format {
        formats::ONNX => Some("onnx"),
        formats::XGBOOST_JSON => Some("json"),
        formats::XGBOOST_UBJSON => Some("ubj"),
        formats::LIGHTGBM => Some("txt"),
        formats::WARDIAN_TREES => Some("trees.json"),
        _ => None,
    }
}

/// Ends a body that is one file.
fn finish_component(
    context: &UploadContext,
    file: &File,
    size: u64,
    digest: Digest,
) -> Result<SingleFile, UploadError> {
    check_whole(file, size)?;
    sync(context, file)?;

    let changed_at = stamp(&file.metadata()?).changed;
    Ok(SingleFile { digest, size, changed_at })
}

/// Makes a file in the version's folder durable, and the folder's entry of it.
fn sync(context: &UploadContext, file: &File) -> Result<(), UploadError> {
    file.sync_all()?;
    Ok(rustix::fs::fsync(context.staged.version()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_a_body_is_known_from_its_first_bytes() {
        let mut tar = b"model.wasm".to_vec();
        tar.resize(257, 0);
        tar.extend(b"ustar");
        for (prefix, format) in [
            (&b""[..], BodyFormat::Component),
            (b"\x1f\x8b", BodyFormat::Gzip),
            (b"\0asm", BodyFormat::Component),
            (b"hello", BodyFormat::Component),
            (&tar, BodyFormat::Tar),
            (b"\x08\x08\x12\x07pytorch", BodyFormat::ModelFile("onnx")),
            (b"{L\0\0\0\0\0\0\0\x07learner", BodyFormat::ModelFile("ubj")),
        ] {
            assert_eq!(body_format(prefix).unwrap(), format, "{prefix:?}");
        }

        for early in [&b"\0"[..], b"\x1f\x8b"] {
            assert!(is_known_early(early), "{early:?}");
        }
        let Err(UploadError::Invalid(fault)) = body_format(b"\x80\x04\x95") else {
            panic!("a pickle was accepted")
        };
        assert!(fault.reason.contains("wardian.save"), "{fault}");
    }
}
