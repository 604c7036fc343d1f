//! The root of a repository: the folder at the end of its path, opened again at each scan.
//!
//! The operator configures the path, but others may control folders on it. A folder that is created
//! again at the same path is accepted, for example a volume that is mounted again. A link is
//! followed only if it was there when the repository was first opened: a folder that has become a
//! link since then is refused. The target must not overlap another tenant's repository
//! ([`folder_claims`](super::folder_claims)).

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::aspired_versions::Degraded;
use super::folder_claims::{Claim, FolderClaims, Overlap};
use super::real_path::{ResolvedPath, resolve_symlinks};
use crate::disk_errors::read_error_text;
use crate::files::OpenFolder;
use crate::model::TenantName;
use crate::mutex::lock;

/// The path of a tenant's repository, and the folder it led to last.
#[derive(Debug)]
pub(super) struct RepositoryRoot {
    tenant: TenantName,
    /// Absolute path, links not resolved.
    path: PathBuf,
    /// The source that scans it.
    source: u64,
    /// `None` for a folder that only the host writes, such as a mirror.
    claims: Option<Arc<FolderClaims>>,
    opened: Mutex<Option<Opened>>,
}

/// The folder that the path led to when it was last opened.
#[derive(Debug)]
struct Opened {
    folder: Arc<OpenFolder>,
    /// The path's target when first opened, and the links on the way at that time.
    first_real: PathBuf,
    links: BTreeSet<PathBuf>,
}

/// An open root.
#[derive(Clone, Debug)]
pub(super) struct OpenRoot {
    pub(super) folder: Arc<OpenFolder>,
    /// Its path without links.
    pub(super) real: PathBuf,
}

/// The reason why a root cannot be opened.
#[derive(Debug)]
pub(super) enum RootError {
    /// Missing or unreadable.
    Unreadable(io::Error),
    /// Present, but refused.
    Refused(Degraded),
}

impl From<io::Error> for RootError {
    fn from(error: io::Error) -> Self {
        RootError::Unreadable(error)
    }
}

/// Returns the tenants whose repositories would be refused now, each with the reason.
pub fn refused_roots(
    claims: &Arc<FolderClaims>,
    tenants: &[(TenantName, PathBuf)],
) -> Vec<(TenantName, String)> {
    tenants.iter().for_each(|(tenant, path)| claims.reserve(tenant, path));
    let root = |tenant: &TenantName, path| {
        RepositoryRoot::new(tenant.clone(), path, 0, Some(claims.clone()))
    };

    // Kept until all are checked, since each holds its claim.
    let roots: Vec<_> = tenants.iter().map(|(tenant, path)| (tenant, root(tenant, path))).collect();
    let refused = roots.iter().filter_map(|(tenant, root)| match root.open() {
        Err(RootError::Refused(why)) => Some(((*tenant).clone(), why.detail)),
        _ => None,
    });

    refused.collect()
}

impl RepositoryRoot {
    /// Creates the root of a path that has not been opened yet.
    pub(super) fn new(
        tenant: TenantName,
        path: &Path,
        source: u64,
        claims: Option<Arc<FolderClaims>>,
    ) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        RepositoryRoot { tenant, path, source, claims, opened: Mutex::default() }
    }

    /// Opens the folder at the end of the path. Returns the folder already open if it is the same
    /// one.
    pub(super) fn open(&self) -> Result<OpenRoot, RootError> {
        let mut before = lock(&self.opened);
        let found = resolve_symlinks(&self.path)?;

        if let Some(opened) = &*before {
            self.check_links(&found, opened)?;
        }

        let has_moved = before.as_ref().is_some_and(|opened| opened.first_real != found.real);
        self.claim(&found, has_moved)?;

        let folder = Arc::new(OpenFolder::open(&found.real)?);
        if Some(folder.id()) != found.folder() {
            return Err(io::Error::other("it was replaced while it was being opened").into());
        }

        let folder = match &mut *before {
            Some(opened) if opened.folder.id() == folder.id() => opened.folder.clone(),
            Some(opened) => {
                opened.folder = folder.clone();
                folder
            }
            None => {
                self.log_links(&found);
                let (links, first_real) = (found.links, found.real.clone());
                *before = Some(Opened { folder: folder.clone(), first_real, links });
                folder
            }
        };

        Ok(OpenRoot { folder, real: found.real })
    }

    /// Logs that the path contains links. They are accepted because they are there at the start.
    fn log_links(&self, found: &ResolvedPath) {
        if !found.links.is_empty() {
            let path = self.path.display();
            let target = found.real.display();
            tracing::info!(tenant = %self.tenant, %path, %target, "the path of the repository leads over symbolic links");
        }
    }

    /// Returns the reason to report after an I/O error.
    pub(super) fn unreadable_message(&self, error: &io::Error) -> Degraded {
        let why = read_error_text(error);
        Degraded {
            reason: format!("the repository cannot be read: {why}"),
            detail: format!("the repository {} cannot be read: {why}", self.path.display()),
            needs_operator: false,
        }
    }

    /// Fails if the path contains a link that was not there when it was first opened.
    fn check_links(&self, found: &ResolvedPath, opened: &Opened) -> Result<(), RootError> {
        let Some(link) = found.links.difference(&opened.links).next() else { return Ok(()) };
        let remedy = "put the folder back, or restart the server to accept the link";
        let why = "has been replaced by a symbolic link since the server started";
        Err(RootError::Refused(Degraded {
            reason: format!("a folder on the way to the repository {why}; {remedy}"),
            detail: format!(
                "{}, on the way to the repository {}, {why}; {remedy}",
                link.display(),
                self.path.display()
            ),
            needs_operator: true,
        }))
    }

    fn claim(&self, found: &ResolvedPath, moved: bool) -> Result<(), RootError> {
        let Some(claims) = &self.claims else { return Ok(()) };
        let claim = Claim {
            source: self.source,
            folders: found.folders.clone(),
            links: found.links.len(),
            moved,
        };
        let claimed = claims.claim(&self.tenant, claim);

        claimed.map_err(|overlap| {
            let (reason, detail) = match overlap {
                Overlap::Tenant(other) => {
                    ("that of another tenant".into(), format!("that of tenant '{other}'"))
                }
                Overlap::Host(what) => {
                    (format!("the server's own {what}"), format!("the server's own {what}"))
                }
            };
            let path = self.path.display();
            let real = found.real.display();
            RootError::Refused(Degraded {
                reason: format!("the repository overlaps with {reason}; move one of them"),
                detail: format!(
                    "the repository {path}, which is {real}, overlaps with {detail}; move one of them"
                ),
                needs_operator: true,
            })
        })
    }
}

impl Drop for RepositoryRoot {
    fn drop(&mut self) {
        if let Some(claims) = &self.claims {
            claims.release(&self.tenant, self.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn root(path: &Path, claims: Option<&Arc<FolderClaims>>, name: &str) -> RepositoryRoot {
        RepositoryRoot::new(TenantName::new(name).unwrap(), path, 1, claims.cloned())
    }

    fn refusal(root: &RepositoryRoot) -> Degraded {
        match root.open() {
            Err(RootError::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_recreated_folder_is_accepted_and_a_new_link_is_refused() {
        let around = tempfile::tempdir().unwrap();
        let at = |name: &str| around.path().join(name);
        fs::create_dir_all(at("home/models")).unwrap();
        fs::create_dir_all(at("other")).unwrap();
        let root = root(&at("home/models"), None, "a");
        let first = root.open().unwrap();
        assert!(Arc::ptr_eq(&first.folder, &root.open().unwrap().folder));

        fs::rename(at("home/models"), at("home/old")).unwrap();
        assert!(matches!(root.open(), Err(RootError::Unreadable(_))));
        symlink("../other", at("home/models")).unwrap();
        let why = refusal(&root);
        assert!(why.reason.contains("symbolic link") && !why.reason.contains("models"), "{why:?}");
        assert!(why.detail.contains("home/models"), "{why:?}");
        fs::remove_file(at("home/models")).unwrap();
        fs::create_dir(at("home/models")).unwrap();

        assert!(!Arc::ptr_eq(&first.folder, &root.open().unwrap().folder));
    }

    #[test]
    fn a_link_present_at_first_may_change_its_target() {
        let around = tempfile::tempdir().unwrap();
        let at = |name: &str| around.path().join(name);
        ["one", "two"].into_iter().for_each(|name| fs::create_dir(at(name)).unwrap());
        symlink("one", at("models")).unwrap();
        let root = root(&at("models"), None, "a");
        let one = root.open().unwrap().real;
        symlink("two", at("next")).unwrap();
        fs::rename(at("next"), at("models")).unwrap();
        let two = root.open().unwrap().real;

        assert!(one.ends_with("one") && two.ends_with("two"));
    }

    #[test]
    fn a_link_to_another_tenants_repository_is_refused() {
        let around = tempfile::tempdir().unwrap();
        let at = |name: &str| around.path().join(name);
        ["a", "b"].into_iter().for_each(|name| fs::create_dir(at(name)).unwrap());
        symlink("b", at("link")).unwrap();
        let claims = Arc::new(FolderClaims::default());
        let b = root(&at("link"), Some(&claims), "b");
        b.open().unwrap();
        symlink("a", at("next")).unwrap();
        fs::rename(at("next"), at("link")).unwrap();
        let a = root(&at("a"), Some(&claims), "a");
        claims.reserve(&TenantName::new("a").unwrap(), &at("a"));
        let why = refusal(&b);
        assert!(why.reason.contains("another tenant") && why.detail.contains("'a'"), "{why:?}");
        a.open().unwrap();
        assert!(matches!(root(&at("link"), Some(&claims), "b").open(), Err(RootError::Refused(_))));

        a.open().unwrap();
    }
}
