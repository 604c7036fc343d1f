//! Parsers of argument values that several commands share.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::model::{self, ModelName, TenantName, Version};
use crate::tenant::RepositoryLocation;

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    model::parse_duration(text)
}

/// Parses a directory or a URL. A relative directory stays relative.
pub(super) fn parse_location(text: &str) -> Result<RepositoryLocation, String> {
    RepositoryLocation::parse(text, Path::new(""))
}

pub(super) fn parse_model_name(text: &str) -> Result<ModelName, String> {
    ModelName::new(text).map_err(|error| error.to_string())
}

pub(super) fn parse_tenant_name(text: &str) -> Result<TenantName, String> {
    TenantName::new(text).map_err(|error| error.to_string())
}

pub(super) fn parse_version(text: &str) -> Result<Version> {
    Version::parse(text).with_context(|| format!("'{text}' is not a version: 1, 2, 3 and so on"))
}
