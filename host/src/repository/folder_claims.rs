//! Claims of tenants to repository folders, checked again at each scan.
//!
//! A tenant's repository must not overlap another tenant's, nor the host's own folders: a tenant
//! that can write there would decide what the other one serves. Configured paths are compared when
//! the configuration is read, but the folders behind them can change at any time. So each scan
//! claims the folders on its repository's path, and is refused if the repository lies within
//! another one or contains it.
//!
//! Of two overlapping repositories, the one reached over more links, or whose path has led
//! elsewhere before, is refused. A tenant that can redirect its own path therefore cannot have
//! another tenant's repository refused.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use super::real_path::{ResolvedPath, resolve_symlinks};
use crate::files::FolderId;
use crate::model::TenantName;
use crate::mutex::lock;

/// The folders of all tenants, and the host's own.
#[derive(Debug, Default)]
pub struct FolderClaims {
    own: Vec<(&'static str, PathBuf)>,
    claims: Mutex<BTreeMap<TenantName, Claim>>,
}

/// The folders on the path of one tenant's repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// The source that claims them; 0 for a claim made before the source started.
    pub(super) source: u64,
    pub(super) folders: Vec<FolderId>,
    /// Number of links on the path.
    pub(super) links: usize,
    /// True if the path leads elsewhere than at first.
    pub(super) moved: bool,
}

/// The conflict of a repository's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Overlap {
    /// It overlaps another tenant's repository.
    Tenant(TenantName),
    /// It overlaps a folder or file of the host.
    Host(&'static str),
}

impl FolderClaims {
    /// Creates claims of the host's own folders and files, each with a description. No tenant has a
    /// claim yet.
    pub fn new(own: Vec<(&'static str, PathBuf)>) -> Self {
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let own = own.into_iter().map(|(what, path)| (what, absolute(path))).collect();
        FolderClaims { own, claims: Mutex::default() }
    }

    /// Claims a tenant's repository before the first scan of any. A path that does not exist is not
    /// claimed.
    pub fn reserve(&self, tenant: &TenantName, path: &std::path::Path) {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        if let Ok(resolved) = resolve_symlinks(&path) {
            let claim = Claim {
                source: 0,
                links: resolved.links.len(),
                folders: resolved.folders,
                moved: false,
            };
            self.lock().insert(tenant.clone(), claim);
        }
    }

    /// Claims folders for a tenant in place of its earlier claim. Fails if they overlap another
    /// claim.
    pub(super) fn claim(&self, tenant: &TenantName, claim: Claim) -> Result<(), Overlap> {
        // The folders behind the host's own paths may change as well.
        let own =
            self.own.iter().filter_map(|(what, path)| Some((*what, resolve_symlinks(path).ok()?)));
        let hosts = own
            .into_iter()
            .find(|(_, ResolvedPath { folders, .. })| paths_overlap(folders, &claim.folders));

        let mut claims = self.lock();
        let judged = match hosts {
            Some((what, _)) => Err(Overlap::Host(what)),
            None => find_conflict(tenant, &claim, &claims),
        };

        match judged {
            Ok(()) => drop(claims.insert(tenant.clone(), claim)),
            Err(_) => drop(claims.remove(tenant)),
        }

        judged
    }

    /// Removes the claim of a source.
    pub(super) fn release(&self, tenant: &TenantName, source: u64) {
        let mut claims = self.lock();
        if claims.get(tenant).is_some_and(|claim| claim.source == source) {
            claims.remove(tenant);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TenantName, Claim>> {
        lock(&self.claims)
    }
}

fn find_conflict(
    tenant: &TenantName,
    claim: &Claim,
    others: &BTreeMap<TenantName, Claim>,
) -> Result<(), Overlap> {
    let others = others.iter().filter(|(name, _)| *name != tenant);
    let mut stronger =
        others.filter(|(_, other)| (other.links, other.moved) <= (claim.links, claim.moved));

    match stronger.find(|(_, other)| paths_overlap(&other.folders, &claim.folders)) {
        Some((name, _)) => Err(Overlap::Tenant(name.clone())),
        None => Ok(()),
    }
}

/// Returns true if one path leads through the folder at the end of the other.
fn paths_overlap(one: &[FolderId], other: &[FolderId]) -> bool {
    let within = |inner: &[FolderId], outer: &[FolderId]| {
        outer.last().is_some_and(|folder| inner.contains(folder))
    };
    within(one, other) || within(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> TenantName {
        TenantName::new(name).unwrap()
    }

    fn claim(inodes: &[u64], links: usize, moved: bool) -> Claim {
        let folders = inodes.iter().map(|inode| (1, *inode)).collect();
        Claim { source: 1, folders, links, moved }
    }

    #[test]
    fn a_repository_within_or_around_another_is_refused() {
        let claims = FolderClaims::default();
        claims.claim(&name("a"), claim(&[1, 2, 3], 0, false)).unwrap();
        let overlaps = Err(Overlap::Tenant(name("a")));

        for inodes in [&[1, 2, 3][..], &[1, 2, 3, 4], &[1, 2], &[1], &[7, 3]] {
            assert_eq!(claims.claim(&name("b"), claim(inodes, 1, false)), overlaps, "{inodes:?}");
        }

        assert_eq!(claims.claim(&name("b"), claim(&[1, 2, 5], 1, false)), Ok(()));
        assert_eq!(claims.claim(&name("a"), claim(&[1, 2, 3], 0, false)), Ok(()), "its own claim");
        claims.release(&name("b"), 7);
        assert_eq!(claims.claim(&name("a"), claim(&[1, 2, 5], 0, true)), Ok(()), "more links lose");

        assert!(claims.claim(&name("b"), claim(&[1, 2, 5], 1, false)).is_err());
    }

    #[test]
    fn only_the_repository_that_moved_is_refused() {
        let claims = FolderClaims::default();
        claims.claim(&name("b"), claim(&[1, 2, 3], 0, false)).unwrap();
        assert!(claims.claim(&name("a"), claim(&[1, 2, 3], 0, true)).is_err());
        assert_eq!(claims.claim(&name("b"), claim(&[1, 2, 3], 0, false)), Ok(()));
        assert!(claims.claim(&name("a"), claim(&[1, 2, 3], 2, false)).is_err());
        assert_eq!(claims.claim(&name("a"), claim(&[1, 2, 4], 2, false)), Ok(()));
    }

    #[test]
    fn the_hosts_own_folders_cannot_be_a_repository() {
        let around = tempfile::tempdir().unwrap();
        let around = around.path().canonicalize().unwrap();
        let state = around.join("state");
        std::fs::create_dir_all(state.join("a/b")).unwrap();
        let claims = FolderClaims::new(vec![("state directory", state.join("a"))]);
        let claim = |path: &std::path::Path| {
            let folders = resolve_symlinks(path).unwrap().folders;
            claims.claim(&name("a"), Claim { source: 1, folders, links: 0, moved: false })
        };

        for path in [&around, &state, &state.join("a"), &state.join("a/b")] {
            assert_eq!(claim(path), Err(Overlap::Host("state directory")), "{}", path.display());
        }

        std::fs::create_dir(around.join("models")).unwrap();

        assert_eq!(claim(&around.join("models")), Ok(()));
    }
}
