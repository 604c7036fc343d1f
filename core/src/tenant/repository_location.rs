//! The location of a repository.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

/// The location of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepositoryLocation {
    /// A local directory.
    Directory(PathBuf),
    /// A bucket, a container or a folder behind a URL without credentials.
    Remote(Url),
}

/// URL schemes of the supported object stores.
const URL_SCHEMES: [&str; 9] = ["s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "http", "https"];

impl RepositoryLocation {
    /// Parses a URL, or a path relative to `base`. Fails with the fault.
    pub fn parse(text: &str, base: &Path) -> Result<Self, String> {
        match text {
            "" => Err("an empty path".into()),
            url if url.contains("://") => parse_url(url).map(RepositoryLocation::Remote),
            path => Ok(RepositoryLocation::Directory(base.join(path))),
        }
    }

    /// The directory; `None` for a URL.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            RepositoryLocation::Directory(path) => Some(path),
            RepositoryLocation::Remote(_) => None,
        }
    }
}

impl From<PathBuf> for RepositoryLocation {
    fn from(path: PathBuf) -> Self {
        RepositoryLocation::Directory(path)
    }
}

impl fmt::Display for RepositoryLocation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RepositoryLocation::Directory(path) => path.display().fmt(out),
            RepositoryLocation::Remote(url) => out.write_str(url.as_str()),
        }
    }
}

fn parse_url(text: &str) -> Result<Url, String> {
    // The text may hold a password and is not repeated.
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    if !URL_SCHEMES.contains(&url.scheme()) {
        let scheme = url.scheme();
        return Err(format!(
            "{scheme}:// is not supported: a repository is a directory, or a URL with s3://, gs://, az://, http:// or https://"
        ));
    }
    if url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("a URL with a password, '?' or '#': it names a location only, and credentials come from the \
                    environment, as AWS_ACCESS_KEY_ID does"
            .into());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("a URL without a bucket or host; it looks like s3://bucket/prefix".into());
    }

    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<RepositoryLocation, String> {
        RepositoryLocation::parse(text, Path::new("/etc/wardian"))
    }

    #[test]
    fn a_location_is_a_path_or_a_url() {
        assert_eq!(parsed("models"), Ok(PathBuf::from("/etc/wardian/models").into()));
        assert_eq!(parsed("/srv/models"), Ok(PathBuf::from("/srv/models").into()));
        for url in [
            "s3://bucket/prefix",
            "gs://bucket",
            "az://container@account/x",
            "http://127.0.0.1:9000/models",
        ] {
            assert_eq!(parsed(url).unwrap().to_string().trim_end_matches('/'), url);
        }
    }

    #[test]
    fn an_invalid_location_is_refused_without_repeating_a_secret() {
        for (text, says) in [
            ("", "an empty path"),
            ("ftp://host/models", "ftp:// is not supported"),
            ("file:///models", "file:// is not supported"),
            ("s3:///models", "without a bucket"),
            ("http://", "not a URL"),
            ("https://me:hunter2@host/models", "credentials come from the environment"),
            ("https://host/models?sig=hunter2", "credentials come from the environment"),
        ] {
            let told = parsed(text).unwrap_err();
            assert!(told.contains(says) && !told.contains("hunter2"), "{text}: {told}");
        }
    }
}
