//! Parsers of values that occur in several configuration files.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use crate::tenant::RepositoryLocation;
use crate::toml_reader::text;

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// More frequent refreshes would load the object store without a benefit. A refresh can also be
/// requested.
pub(super) const REFRESH_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=DAY;

/// Parses the location of a repository: a URL, or a path relative to `base`.
pub(super) fn repository_location(
    base: &Path,
) -> impl Fn(&DeValue<'_>) -> Result<RepositoryLocation, String> {
    move |value| RepositoryLocation::parse(&text(value)?, base)
}

/// Parses a path, relative to `base`.
pub(super) fn path(base: &Path) -> impl Fn(&DeValue<'_>) -> Result<PathBuf, String> {
    move |value| {
        let path = text(value)?;
        if path.is_empty() { Err("an empty path".into()) } else { Ok(base.join(path)) }
    }
}
