//! The configuration files: `wardian.toml`, and one file per tenant in `tenants/`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::host_file::HostFile;
use super::tenant_file::{self, TenantEntry};
use super::watched_file::{Observation, WatchedFile};
use super::{Config, Overrides, Tenancy, setting_conflicts, tenant_conflicts};
use crate::repository::{is_temporary, unreadable_error};

/// All files and their parsed contents.
pub(super) struct ConfigFiles {
    overrides: Overrides,
    /// Folder of `wardian.toml`, the base of relative paths.
    base: PathBuf,
    host: WatchedFile<HostFile>,
    host_path: PathBuf,
    folder: PathBuf,
    tenants: BTreeMap<OsString, WatchedFile<TenantEntry>>,
    /// Device of the folder when it was last listed.
    device: Option<u64>,
    /// Reason for ignoring the current state of the folder.
    folder_fault: Option<String>,
}

/// File used if none is named and it exists.
const FILE: &str = "wardian.toml";
const FOLDER: &str = "tenants";

impl ConfigFiles {
    /// Creates the files named by the command line. None is read yet.
    pub(super) fn new(overrides: Overrides) -> Self {
        let path = overrides.config.clone().unwrap_or_else(|| FILE.into());
        let host = match overrides.config {
            Some(_) => WatchedFile::new(path.clone()),
            None => WatchedFile::optional(path.clone(), HostFile::new(&overrides)),
        };
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        let folder = base.join(FOLDER);
        let tenants = BTreeMap::new();

        ConfigFiles {
            overrides,
            base,
            host,
            host_path: path,
            folder,
            tenants,
            device: None,
            folder_fault: None,
        }
    }

    /// Returns the host's file and the folder of tenants, each with a description.
    pub(super) fn paths(&self) -> [(&'static str, PathBuf); 2] {
        [("configuration file", self.host_path.clone()), ("folder of tenants", self.folder.clone())]
    }

    /// Observes all files, and reads those that have settled. Returns true if anything may have
    /// changed.
    pub(super) fn observe(&mut self, observation: Observation) -> bool {
        let overrides = &self.overrides;
        let parse = |path: &Path, text: &str| {
            HostFile::read(path, text, overrides).map_err(|faults| faults.to_string())
        };
        let changed = self.host.observe(observation, parse);
        match self.list() {
            Ok(names) => {
                self.folder_fault = None;
                self.observe_tenants(names, observation) | changed
            }
            Err(why) => {
                self.folder_fault = Some(why);
                changed
            }
        }
    }

    /// Makes the next observation read everything and report all faults again.
    pub(super) fn invalidate(&mut self) {
        self.host.invalidate();
        self.tenants.values_mut().for_each(WatchedFile::invalidate);
    }

    /// Returns the time of the next observation needed to settle a change.
    pub(super) fn due(&self, settle: Duration) -> Option<Instant> {
        // The files are not observed while the folder is ignored.
        let tenants = self.tenants.values().filter(|_| self.folder_fault.is_none());
        tenants.filter_map(|tenant| tenant.due(settle)).chain(self.host.due(settle)).min()
    }

    /// Returns the faults of single files.
    pub(super) fn faults(&self) -> Vec<String> {
        let missing = self.host.candidate().is_none() && self.host.fault().is_none();
        let missing = missing
            .then(|| format!("cannot read {}: there is no such file", self.host_path.display()));
        let host = self.host.fault().map(str::to_owned).or(missing);
        let tenants = self.tenants.values().filter_map(|tenant| tenant.fault().map(str::to_owned));

        host.into_iter().chain(tenants).chain(self.folder_fault.clone()).collect()
    }

    /// Returns the faults that have not been logged yet.
    pub(super) fn take_unreported(&mut self) -> Vec<String> {
        let to_owned = |fault: Option<&str>| fault.map(str::to_owned);
        let host = to_owned(self.host.take_unreported());
        host.into_iter()
            .chain(
                self.tenants.values_mut().filter_map(|tenant| to_owned(tenant.take_unreported())),
            )
            .collect()
    }

    /// Returns the reason for ignoring the folder of tenants.
    pub(super) fn folder_fault(&self) -> Option<&str> {
        self.folder_fault.as_deref()
    }

    /// Merges the candidates of all files. Returns the configuration and its conflicts.
    pub(super) fn merge(&self) -> (Config, Vec<String>) {
        let host = self.host.candidate().cloned().unwrap_or_default();
        let files = self.tenants.values().filter_map(WatchedFile::candidate);
        let tenants: Vec<_> = host.tenants.iter().chain(files).collect();
        let tenancy = Tenancy::from_files(&host, &tenants, &self.base);
        let config = Config { tenancy, ..host.config.clone() };
        let mut conflicts = setting_conflicts::find(&config);

        conflicts.extend(tenant_conflicts::find(&host, &tenants, &self.base));

        (config, conflicts)
    }

    /// Records that the candidates are in force.
    pub(super) fn accept(&mut self) {
        self.host.accept();
        self.tenants.values_mut().for_each(WatchedFile::accept);
    }

    fn observe_tenants(&mut self, names: BTreeSet<OsString>, observation: Observation) -> bool {
        let mut changed = false;

        for name in names {
            let path = self.folder.join(&name);
            self.tenants.entry(name).or_insert_with(|| WatchedFile::new(path));
        }

        for source in self.tenants.values_mut() {
            changed |=
                source.observe(observation, |path, text| tenant_file::read(path, text, &self.base));
        }

        self.tenants.retain(|_, source| !source.is_gone());

        changed
    }

    /// Lists the tenants' files. Fails if the folder is unavailable, which must not remove the
    /// tenants.
    fn list(&mut self) -> Result<BTreeSet<OsString>, String> {
        let folder = self.folder.display();
        let suffix = "; its tenants stay as they are";
        match list(&self.folder) {
            Ok((names, device)) => {
                // Typical for a volume that has been unmounted.
                let unmounted =
                    names.is_empty() && !self.tenants.is_empty() && self.device != Some(device);

                if unmounted {
                    return Err(format!(
                        "{folder} is empty, and on another device than before{suffix}"
                    ));
                }

                self.device = Some(device);
                Ok(names)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.tenants.is_empty() => {
                Ok(BTreeSet::new())
            }
            Err(error) => {
                Err(format!("cannot list {folder}: {}{suffix}", unreadable_error(&error)))
            }
        }
    }
}

fn list(folder: &Path) -> io::Result<(BTreeSet<OsString>, u64)> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let shown = name.to_string_lossy();
        if shown.ends_with(".toml") && !is_temporary(&shown) {
            names.insert(name);
        }
    }

    Ok((names, fs::metadata(folder)?.dev()))
}
