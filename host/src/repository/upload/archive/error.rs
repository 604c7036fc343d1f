//! The reasons for which an archive is refused.

use crate::model::{LoadError, Stage};
use crate::repository::upload::UploadError;

/// The reason why an archive cannot be a version. The texts may be shown to its sender; names in
/// them are printable.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::repository::upload) enum ArchiveError {
    #[error("the gzip data cannot be read: {0}")]
    Gzip(String),
    #[error("bytes follow the end of the gzip data; an archive is one gzip stream")]
    AfterGzip,
    #[error("the archive is truncated: it ends {0}")]
    Truncated(&'static str),
    #[error("bytes follow the end of the archive")]
    AfterEnd,
    #[error("more than {0} bytes follow the end of the archive")]
    Padding(u64),
    #[error("not a tar archive, or a damaged one: the header at byte {0} {1}")]
    Header(u64, &'static str),
    #[error("{0}: {1} cannot be in an archive of a version, which holds regular files only")]
    Kind(String, &'static str),
    #[error(
        "{0}: an archive holds the files of one version, without folders; pack the content of the folder: tar -C \
         FOLDER -cf version.tar ."
    )]
    Nested(String),
    #[error("{0}: the path leads out of the version's folder")]
    Outside(String),
    #[error("{0}: a name has at most 128 bytes, all of them printable UTF-8")]
    Name(String),
    #[error("{0}: hidden and unfinished files are not part of a version; leave it out")]
    Hidden(String),
    #[error(
        "config.toml: an upload does not change the live configuration; put it into the model's folder"
    )]
    LiveConfig,
    #[error("{0}: the name is in the archive twice")]
    Duplicate(String),
    #[error("the archive has more than {0} files; a version has at most {1} sidecars")]
    TooManyFiles(usize, usize),
    #[error("the archive has more than {0} entries")]
    TooManyEntries(usize),
    #[error("a long name or an extended header has more than {0} bytes")]
    LongExtension(u64),
    #[error("an extended header is malformed")]
    MalformedExtension,
    #[error("{0}: the extended header '{1}' is not accepted")]
    Extension(String, String),
    #[error("the archive is empty")]
    Empty,
}

impl From<ArchiveError> for UploadError {
    fn from(error: ArchiveError) -> Self {
        LoadError::new(Stage::Validate, error.to_string()).into()
    }
}
