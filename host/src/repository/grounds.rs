//! Which folders are whose, judged anew at each look.
//!
//! What one tenant's repository holds must not be another's, nor the host's own: whoever can write
//! there would decide what the other serves. Paths that are given are held against each other when
//! the configuration is read; but what they lead to can change at any time. So each repository says
//! at each look which folders its path leads through, and is refused if it lies within another's,
//! or around it.
//!
//! Of two that overlap the one is refused that came there over more links, or whose path leads
//! elsewhere than at first: a tenant who can change where his own path leads cannot have another's
//! repository refused.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::resolve::{Resolved, resolve};
use crate::files::FolderId;
use crate::model::TenantName;

/// The folders of all tenants, and the host's own.
#[derive(Debug, Default)]
pub struct Grounds {
    own: Vec<(&'static str, PathBuf)>,
    claims: Mutex<BTreeMap<TenantName, Claim>>,
}

/// The folders that one tenant's repository takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// Which source claims them; 0 before there is one.
    pub(super) source: u64,
    pub(super) folders: Vec<FolderId>,
    /// How many links lead there.
    pub(super) links: usize,
    /// Whether the path leads elsewhere than at first.
    pub(super) moved: bool,
}

/// Why a repository cannot be where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Overlap {
    /// It overlaps with the repository of another tenant.
    Tenant(TenantName),
    /// It overlaps with what is the host's own.
    Host(&'static str),
}

impl Grounds {
    /// The host's own folders and files, each with what it is, and nobody's repository yet.
    pub fn new(own: Vec<(&'static str, PathBuf)>) -> Self {
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let own = own.into_iter().map(|(what, path)| (what, absolute(path))).collect();
        Grounds { own, claims: Mutex::default() }
    }

    /// Notes where a tenant's repository is before anybody looks at any. What cannot be found is
    /// claimed by nobody.
    pub fn expect(&self, tenant: &TenantName, path: &std::path::Path) {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        if let Ok(resolved) = resolve(&path) {
            let claim = Claim {
                source: 0,
                links: resolved.links.len(),
                folders: resolved.folders,
                moved: false,
            };
            self.lock().insert(tenant.clone(), claim);
        }
    }

    /// Claims folders for a tenant, in place of what it had before. Fails if they are another's.
    pub(super) fn claim(&self, tenant: &TenantName, claim: Claim) -> Result<(), Overlap> {
        // What the host's own paths lead to may change as well.
        let own = self.own.iter().filter_map(|(what, path)| Some((*what, resolve(path).ok()?)));
        let hosts =
            own.into_iter().find(|(_, Resolved { folders, .. })| overlap(folders, &claim.folders));
        let mut claims = self.lock();
        let judged = match hosts {
            Some((what, _)) => Err(Overlap::Host(what)),
            None => judge(tenant, &claim, &claims),
        };
        match judged {
            Ok(()) => drop(claims.insert(tenant.clone(), claim)),
            Err(_) => drop(claims.remove(tenant)),
        }
        judged
    }

    /// Gives up what a source has claimed.
    pub(super) fn release(&self, tenant: &TenantName, source: u64) {
        let mut claims = self.lock();
        if claims.get(tenant).is_some_and(|claim| claim.source == source) {
            claims.remove(tenant);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TenantName, Claim>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn judge(
    tenant: &TenantName,
    claim: &Claim,
    others: &BTreeMap<TenantName, Claim>,
) -> Result<(), Overlap> {
    let others = others.iter().filter(|(name, _)| *name != tenant);
    let mut stronger =
        others.filter(|(_, other)| (other.links, other.moved) <= (claim.links, claim.moved));
    match stronger.find(|(_, other)| overlap(&other.folders, &claim.folders)) {
        Some((name, _)) => Err(Overlap::Tenant(name.clone())),
        None => Ok(()),
    }
}

/// Whether one path leads through the folder that the other leads to.
fn overlap(one: &[FolderId], other: &[FolderId]) -> bool {
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
    fn what_lies_within_anothers_or_around_it_is_refused() {
        let grounds = Grounds::default();
        grounds.claim(&name("a"), claim(&[1, 2, 3], 0, false)).unwrap();
        let overlaps = Err(Overlap::Tenant(name("a")));
        for inodes in [&[1, 2, 3][..], &[1, 2, 3, 4], &[1, 2], &[1], &[7, 3]] {
            assert_eq!(grounds.claim(&name("b"), claim(inodes, 1, false)), overlaps, "{inodes:?}");
        }
        assert_eq!(grounds.claim(&name("b"), claim(&[1, 2, 5], 1, false)), Ok(()));
        assert_eq!(grounds.claim(&name("a"), claim(&[1, 2, 3], 0, false)), Ok(()), "it is its own");
        grounds.release(&name("b"), 7);
        assert_eq!(
            grounds.claim(&name("a"), claim(&[1, 2, 5], 0, true)),
            Ok(()),
            "more links lose"
        );
        assert!(grounds.claim(&name("b"), claim(&[1, 2, 5], 1, false)).is_err());
    }

    #[test]
    fn whoever_has_moved_there_is_refused_and_nobody_else() {
        let grounds = Grounds::default();
        grounds.claim(&name("b"), claim(&[1, 2, 3], 0, false)).unwrap();
        assert!(grounds.claim(&name("a"), claim(&[1, 2, 3], 0, true)).is_err());
        assert_eq!(grounds.claim(&name("b"), claim(&[1, 2, 3], 0, false)), Ok(()));
        assert!(grounds.claim(&name("a"), claim(&[1, 2, 3], 2, false)).is_err());
        assert_eq!(grounds.claim(&name("a"), claim(&[1, 2, 4], 2, false)), Ok(()));
    }

    #[test]
    fn what_is_the_hosts_own_is_nobodys_repository() {
        let around = tempfile::tempdir().unwrap();
        let around = around.path().canonicalize().unwrap();
        let state = around.join("state");
        std::fs::create_dir_all(state.join("a/b")).unwrap();
        let grounds = Grounds::new(vec![("state directory", state.join("a"))]);
        let claim = |path: &std::path::Path| {
            let folders = resolve(path).unwrap().folders;
            grounds.claim(&name("a"), Claim { source: 1, folders, links: 0, moved: false })
        };
        for path in [&around, &state, &state.join("a"), &state.join("a/b")] {
            assert_eq!(claim(path), Err(Overlap::Host("state directory")), "{}", path.display());
        }
        std::fs::create_dir(around.join("models")).unwrap();
        assert_eq!(claim(&around.join("models")), Ok(()));
    }
}
