//! Conflicts between tenants, independent of the file that defines each.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::credentials::LocatedKey;
use super::host_file::HostFile;
use super::tenant_file::TenantEntry;

/// Returns all conflicts, each with its location and a remedy.
pub(super) fn find(host: &HostFile, tenants: &[&TenantEntry], base: &Path) -> Vec<String> {
    let mut found = duplicate_names(tenants);
    found.extend(duplicate_digests(host, tenants));
    found.extend(overlapping_repositories(host, tenants, base));
    found.extend(unused_models(host, tenants));

    found
}

/// Names become folder names, and some file systems ignore case.
fn duplicate_names(tenants: &[&TenantEntry]) -> Vec<String> {
    let mut seen: HashMap<String, &TenantEntry> = HashMap::new();

    let conflict = |tenant: &TenantEntry, other: &TenantEntry| {
        let TenantEntry { name, place, .. } = tenant;
        let (other_place, other_name) = (&other.place, &other.name);
        if other_name == name {
            format!("{place}: tenant '{name}' is there already ({other_place}); keep one of them")
        } else {
            format!(
                "{place}: tenant '{name}' differs from '{other_name}' ({other_place}) only in case; rename one of them"
            )
        }
    };

    let duplicates = tenants.iter().filter_map(|tenant| {
        let other = seen.insert(tenant.name.as_str().to_lowercase(), tenant)?;
        Some(conflict(tenant, other))
    });

    duplicates.collect()
}

/// A key identifies one tenant, so no two keys may have the same digest.
fn duplicate_digests(host: &HostFile, tenants: &[&TenantEntry]) -> Vec<String> {
    let mut seen: HashMap<String, &LocatedKey> = HashMap::new();
    let conflict = |LocatedKey { place, key }: &LocatedKey, other: &LocatedKey| {
        let (id, other_id, other_place) = (&key.id, &other.key.id, &other.place);
        format!(
            "{place}: key '{id}' has the sha256 of key '{other_id}' ({other_place}); make another with `wardian key new`"
        )
    };
    let keys = host.keys.iter().chain(tenants.iter().flat_map(|tenant| &tenant.keys));
    let duplicates =
        keys.filter_map(|key| Some(conflict(key, seen.insert(key.key.digest.to_string(), key)?)));

    duplicates.collect()
}

/// An upload of one tenant must not become a model of another.
fn overlapping_repositories(host: &HostFile, tenants: &[&TenantEntry], base: &Path) -> Vec<String> {
    let directory =
        |tenant: &&TenantEntry| tenant.repository(host, base).directory().map(normalize);
    // URLs may be shared: nothing is uploaded to them.
    let mut real: Vec<_> =
        tenants.iter().filter_map(|tenant| Some((directory(tenant)?, *tenant))).collect();
    real.sort_by(|(one, _), (other, _)| one.cmp(other));

    let mut outer: Option<(PathBuf, &TenantEntry)> = None;
    let mut found = Vec::new();
    // In this order, paths inside a directory directly follow it.
    for (path, tenant) in real {
        match &outer {
            Some((_, other)) if other.name == tenant.name => {}
            Some((outer_path, other)) if path.starts_with(outer_path) => {
                found.push(overlap_text(tenant, other, &path, outer_path))
            }
            _ => outer = Some((path, tenant)),
        }
    }

    found
}

fn overlap_text(
    tenant: &TenantEntry,
    other: &TenantEntry,
    path: &Path,
    outer_path: &Path,
) -> String {
    let (place, name, other_place) = (&tenant.place, &tenant.name, &other.place);
    let how = if path == outer_path { "is also that" } else { "lies within that" };
    let path = path.display();

    format!(
        "{place}: the repository of tenant '{name}', {path}, {how} of '{}' ({other_place}); move one of them",
        other.name
    )
}

/// A configured `models` that no tenant uses is probably a mistake.
fn unused_models(host: &HostFile, tenants: &[&TenantEntry]) -> Option<String> {
    let models = host.models.as_ref()?;
    let unused = !tenants.is_empty() && !tenants.iter().any(|tenant| tenant.inherits_models());
    unused.then(|| {
        format!(
            "models: {models} is no tenant's repository: it is that of a tenant called 'default' which has no \
             `repository` of its own; remove `models` (or --models), or add that tenant"
        )
    })
}

/// Returns the path, absolute and without dots. Symbolic links are not resolved here, since they
/// can change at any time; the sources check them.
fn normalize(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }

    plain
}
