//! The files that make up the configuration: `wardian.toml`, and one for each tenant in `tenants/`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::clashes::clashes;
use super::file::Host;
use super::source::{Glance, Source};
use super::tenants::{self, TenantEntry};
use super::{Config, Overrides, Tenancy, check};
use crate::repository::{is_temporary, unreadable_error};

/// All files, and what each says.
pub(super) struct Sources {
    overrides: Overrides,
    /// Where `wardian.toml` is. Relative paths are relative to this.
    base: PathBuf,
    host: Source<Host>,
    host_path: PathBuf,
    folder: PathBuf,
    tenants: BTreeMap<OsString, Source<TenantEntry>>,
    /// The device of the folder, once it was seen.
    device: Option<u64>,
    /// Why the folder cannot be believed now.
    trouble: Option<String>,
}

/// The file that is read when none is named and it exists.
const FILE: &str = "wardian.toml";
const FOLDER: &str = "tenants";

impl Sources {
    /// The files that the command line means. None is read yet.
    pub(super) fn new(overrides: Overrides) -> Self {
        let path = overrides.config.clone().unwrap_or_else(|| FILE.into());
        let host = match overrides.config {
            Some(_) => Source::new(path.clone()),
            None => Source::optional(path.clone(), Host::new(&overrides)),
        };
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        let folder = base.join(FOLDER);
        let tenants = BTreeMap::new();
        Sources {
            overrides,
            base,
            host,
            host_path: path,
            folder,
            tenants,
            device: None,
            trouble: None,
        }
    }

    /// The host's file and the folder of tenants.
    pub(super) fn places(&self) -> [(&'static str, PathBuf); 2] {
        [("configuration file", self.host_path.clone()), ("folder of tenants", self.folder.clone())]
    }

    /// Looks at everything, and reads what has settled since it changed. Tells whether anything may
    /// be something else now.
    pub(super) fn look(&mut self, glance: Glance) -> bool {
        let overrides = &self.overrides;
        let parse = |path: &Path, text: &str| {
            Host::read(path, text, overrides).map_err(|faults| faults.to_string())
        };
        let changed = self.host.look(glance, parse);
        match self.list() {
            Ok(names) => {
                self.trouble = None;
                self.look_at_tenants(names, glance) | changed
            }
            Err(why) => {
                self.trouble = Some(why);
                changed
            }
        }
    }

    /// Has the next look read everything, and tell again what is wrong.
    pub(super) fn doubt(&mut self) {
        self.host.doubt();
        self.tenants.values_mut().for_each(Source::doubt);
    }

    /// When to look again although nothing is known to have changed.
    pub(super) fn due(&self, settle: Duration) -> Option<Instant> {
        // While the folder cannot be believed its files are not looked at.
        let tenants = self.tenants.values().filter(|_| self.trouble.is_none());
        tenants.filter_map(|tenant| tenant.due(settle)).chain(self.host.due(settle)).min()
    }

    /// What is wrong with files by themselves.
    pub(super) fn faults(&self) -> Vec<String> {
        let missing = self.host.candidate().is_none() && self.host.fault().is_none();
        let missing = missing
            .then(|| format!("cannot read {}: there is no such file", self.host_path.display()));
        let host = self.host.fault().map(str::to_owned).or(missing);
        let tenants = self.tenants.values().filter_map(|tenant| tenant.fault().map(str::to_owned));
        host.into_iter().chain(tenants).chain(self.trouble.clone()).collect()
    }

    /// What is wrong with files and was not told yet.
    pub(super) fn take_news(&mut self) -> Vec<String> {
        let news = |fault: Option<&str>| fault.map(str::to_owned);
        let host = news(self.host.take_news());
        host.into_iter()
            .chain(self.tenants.values_mut().filter_map(|tenant| news(tenant.take_news())))
            .collect()
    }

    /// Why the folder of tenants cannot be believed now.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Puts together what counts of each file, and tells what does not go together.
    pub(super) fn merge(&self) -> (Config, Vec<String>) {
        let host = self.host.candidate().cloned().unwrap_or_default();
        let files = self.tenants.values().filter_map(Source::candidate);
        let tenants: Vec<_> = host.tenants.iter().chain(files).collect();
        let tenancy = Tenancy::of(&host, &tenants, &self.base);
        let config = Config { tenancy, ..host.config.clone() };
        let mut conflicts = check::conflicts(&config);
        conflicts.extend(clashes(&host, &tenants, &self.base));
        (config, conflicts)
    }

    /// Notes that what counts is in force.
    pub(super) fn accept(&mut self) {
        self.host.accept();
        self.tenants.values_mut().for_each(Source::accept);
    }

    fn look_at_tenants(&mut self, names: BTreeSet<OsString>, glance: Glance) -> bool {
        let mut changed = false;
        for name in names {
            let path = self.folder.join(&name);
            self.tenants.entry(name).or_insert_with(|| Source::new(path));
        }
        for source in self.tenants.values_mut() {
            changed |= source.look(glance, |path, text| tenants::read(path, text, &self.base));
        }
        self.tenants.retain(|_, source| !source.is_gone());
        changed
    }

    /// The names of the tenants' files. Fails if that there is none does not mean that there shall
    /// be none.
    fn list(&mut self) -> Result<BTreeSet<OsString>, String> {
        let folder = self.folder.display();
        let kept = "; its tenants stay as they are";
        match list(&self.folder) {
            Ok((names, device)) => {
                // So it looks when a volume has been unmounted.
                let unmounted =
                    names.is_empty() && !self.tenants.is_empty() && self.device != Some(device);
                if unmounted {
                    return Err(format!(
                        "{folder} is empty, and on another device than before{kept}"
                    ));
                }
                self.device = Some(device);
                Ok(names)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.tenants.is_empty() => {
                Ok(BTreeSet::new())
            }
            Err(error) => Err(format!("cannot list {folder}: {}{kept}", unreadable_error(&error))),
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
