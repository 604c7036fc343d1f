//! The limits on the sizes of uploaded files.

use super::UploadError;
use crate::repository::file_cache::FileRole;
use crate::repository::layout::{COMPONENT, GOLDEN, SETTINGS};
use crate::tenant::Tenant;

/// A limit that a file passes, in bytes, and the setting that it comes from.
struct PassedLimit {
    limit: u64,
    allowed_by: &'static str,
}

/// Checks the announced or received size of a body that is one file.
pub(super) fn check_size(tenant: &Tenant, size: u64, role: FileRole) -> Result<(), UploadError> {
    check(tenant, size, role)
        .map_err(|PassedLimit { limit, allowed_by }| UploadError::TooLarge { limit, allowed_by })
}

/// Checks the size of a file of an archive before its content arrives.
pub(super) fn check_file(tenant: &Tenant, name: &str, size: u64) -> Result<(), UploadError> {
    let role = match name {
        COMPONENT => FileRole::Component,
        GOLDEN => FileRole::Golden,
        SETTINGS => FileRole::Settings,
        // Model files have the limit of sidecars.
        _ => FileRole::Sidecar,
    };
    check(tenant, size, role).map_err(|PassedLimit { limit, allowed_by }| {
        UploadError::FileTooLarge { what: name.into(), limit, allowed_by }
    })
}

fn check(tenant: &Tenant, size: u64, role: FileRole) -> Result<(), PassedLimit> {
    let quota = &tenant.settings().quota;
    quota.check_artifact(size).map_err(|refusal| PassedLimit {
        limit: refusal.limit,
        allowed_by: "the tenant's quota artifact_size",
    })?;

    let limit = role.max_size();
    if size > limit { Err(PassedLimit { limit, allowed_by: "the server" }) } else { Ok(()) }
}
