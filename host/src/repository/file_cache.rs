//! Cache of file contents, read once per change.
//!
//! A stamp only decides if a file must be read again; its content is identified by its digest. A
//! file is read after its stamp has been stable for the settle time, so a later change always
//! changes the stamp, provided that the settle time is longer than the resolution of the file
//! system's clock (a few milliseconds on Linux's own file systems; one or two seconds on some
//! network and FAT volumes).

use std::collections::HashMap;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Digest;
use super::component_check::{self, IncompleteComponent};
use super::confined_dir::{ConfinedDir, FileRef, read_error_text, stamp};
use super::file_kind::Beginning;
use super::model_toml::{parse_config_toml, parse_model_toml};
use super::scan_meter::ScanMeter;
use super::stability::Stability;
use crate::model::{ConfigTable, ModelName, ModelSettings};

/// The purpose for which a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FileRole {
    Component,
    /// A model file, which a runtime serves.
    ModelFile,
    /// A file that is a model file if its content is one. Only its first bytes are read.
    PossibleModelFile,
    Sidecar,
    Golden,
    Settings,
    Live,
}

/// Maximum size of a component in bytes: ten times the largest seen in practice. Compiling one
/// takes tens of times its size in memory.
pub(super) const MAX_COMPONENT_SIZE: u64 = 1 << 30;

/// Maximum size of a file of golden requests in bytes. It is read into memory and parsed as a
/// whole.
pub const MAX_GOLDEN_SIZE: u64 = 16 << 20;

/// The content of a settled file.
#[derive(Clone, Debug)]
pub(super) struct FileContent {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) parsed: ParsedFile,
}

/// The parsed content of a file.
#[derive(Clone, Debug)]
pub(super) enum ParsedFile {
    /// Any other file, which is not parsed.
    Opaque,
    /// The beginning of a model file, or of what may be one.
    Beginning(Arc<Beginning>),
    /// A `model.toml`.
    Settings(Arc<ModelSettings>),
    /// A `config.toml`.
    Live(Arc<ConfigTable>),
}

/// Result of reading one file during a scan.
pub(super) enum ReadOutcome {
    /// Settled and valid.
    Settled(FileContent),
    /// Not settled yet; it may settle at this instant.
    Unsettled(Instant),
    /// Settled and invalid, with the reason.
    Faulty(String),
}

impl FileRole {
    /// Maximum size of such a file in bytes.
    pub(super) fn max_size(self) -> u64 {
        match self {
            FileRole::Component => MAX_COMPONENT_SIZE,
            // A larger file would not fit into a guest's memory.
            FileRole::Sidecar | FileRole::ModelFile => 4 << 30,
            FileRole::PossibleModelFile => u64::MAX,
            FileRole::Golden => MAX_GOLDEN_SIZE,
            // A thousand times the size of a file that sets every key.
            FileRole::Settings | FileRole::Live => 256 << 10,
        }
    }
}

/// Cached contents of the files in one repository.
pub(super) struct FileCache {
    settle: Duration,
    /// By path and role; `None` for a folder, which is not read. Links can give one file several
    /// roles.
    files: HashMap<(PathBuf, Option<FileRole>), CachedFile>,
    /// The last valid live configuration of each model, and the scan that last requested it.
    live_configs: HashMap<ModelName, (Arc<ConfigTable>, u64)>,
    /// Number of the current scan.
    scan: u64,
    meter: ScanMeter,
}

struct CachedFile {
    stability: Stability,
    /// `None` until the file has been read.
    verdict: Option<Verdict>,
    /// The scan that last requested it. Entries that a scan does not request are dropped.
    scan: u64,
}

impl FileCache {
    pub(super) fn new(settle: Duration, meter: ScanMeter) -> Self {
        FileCache { settle, files: HashMap::new(), live_configs: HashMap::new(), scan: 0, meter }
    }

    /// Removes the entries that the ending scan did not request.
    pub(super) fn end_scan(&mut self) {
        let ending = self.scan;
        self.files.retain(|_, file| file.scan == ending);
        self.live_configs.retain(|_, (_, scan)| *scan == ending);

        self.scan += 1;
        self.meter.begin_scan();
    }

    /// Returns a model's live configuration: `now`, or the previous values if `now` is `None`.
    pub(super) fn live_config(
        &mut self,
        model: &ModelName,
        now: Option<Arc<ConfigTable>>,
    ) -> Arc<ConfigTable> {
        let (values, scan) = self.live_configs.entry(model.clone()).or_default();
        *scan = self.scan;

        if let Some(now) = now {
            *values = now;
        }
        values.clone()
    }

    /// Returns the instant at which a folder settles if it does not change; `None` if it has
    /// settled.
    pub(super) fn settles_at(&mut self, folder: &FileRef) -> Option<Instant> {
        let settle = self.settle;
        let cached = self.observe(folder, None);
        if_in_future(cached.stability.settles_at(settle))
    }

    /// Reads a file if it has settled and changed; otherwise returns the cached result.
    pub(super) fn read(
        &mut self,
        tree: &ConfinedDir,
        file: &FileRef,
        role: FileRole,
    ) -> ReadOutcome {
        let settle = self.settle;
        let cached = self.observe(file, Some(role));

        if let Some(due) = if_in_future(cached.stability.settles_at(settle)) {
            return ReadOutcome::Unsettled(due);
        }

        if let Some(verdict) = cached.verdict.clone() {
            return verdict.map_or_else(ReadOutcome::Faulty, ReadOutcome::Settled);
        }

        match read_if_stable(tree, file, role, &mut self.meter) {
            Ok(None) => ReadOutcome::Unsettled(Instant::now() + settle),
            Ok(Some(verdict)) => {
                self.observe(file, Some(role)).verdict = Some(verdict.clone());
                verdict.map_or_else(ReadOutcome::Faulty, ReadOutcome::Settled)
            }
            // Not cached: a file that cannot be read now may be readable at the next scan.
            Err(error) => {
                ReadOutcome::Faulty(format!("cannot be read: {}", read_error_text(&error)))
            }
        }
    }

    /// Returns the cache entry of a path, updated with the present stamp.
    fn observe(&mut self, file: &FileRef, role: Option<FileRole>) -> &mut CachedFile {
        let now = Instant::now();
        let scan = self.scan;
        let new = || CachedFile {
            stability: Stability::observe(None, now, file.stamp),
            verdict: None,
            scan,
        };
        let cached = self.files.entry((file.path.clone(), role)).or_insert_with(new);

        let stability = Stability::observe(Some(cached.stability), now, file.stamp);
        if stability != cached.stability {
            cached.verdict = None;
        }
        cached.stability = stability;
        cached.scan = scan;
        cached
    }
}

fn if_in_future(due: Instant) -> Option<Instant> {
    (due > Instant::now()).then_some(due)
}

/// The content of a file, or its fault.
type Verdict = Result<FileContent, String>;

/// Reads and checks a file. Returns `None` if it changed before or meanwhile, or was removed.
fn read_if_stable(
    tree: &ConfinedDir,
    file: &FileRef,
    role: FileRole,
    meter: &mut ScanMeter,
) -> io::Result<Option<Verdict>> {
    let size = file.stamp.size;
    let max_size = role.max_size();
    if size > max_size {
        return Ok(Some(Err(format!("{size} bytes are more than the {max_size} allowed"))));
    }

    let (opened, before) = match tree.open_file(&file.path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };

    if before != file.stamp {
        return Ok(None);
    }

    if role == FileRole::PossibleModelFile {
        return read_beginning(opened, size)
            .map(|parsed| Some(Ok(FileContent { digest: Digest::sha256(b""), size, parsed })));
    }

    let (opened, digest) = meter.hash_file(opened, before);
    let (Some(mut opened), Some(digest)) = (opened, digest?) else { return Ok(None) };
    let parsed = check_content(&mut opened, role, size)?;

    let is_stable = stamp(&opened.metadata()?) == file.stamp;
    Ok(is_stable.then(|| parsed.map(|parsed| FileContent { digest, size, parsed })))
}

/// Reads what tells the kind of a file.
fn read_beginning(file: impl Read + Seek, size: u64) -> io::Result<ParsedFile> {
    Ok(ParsedFile::Beginning(Arc::new(Beginning::read(file, size)?)))
}

fn check_content(
    file: &mut (impl Read + Seek),
    role: FileRole,
    size: u64,
) -> io::Result<Result<ParsedFile, String>> {
    match role {
        FileRole::Sidecar | FileRole::Golden => Ok(Ok(ParsedFile::Opaque)),
        FileRole::ModelFile | FileRole::PossibleModelFile => read_beginning(file, size).map(Ok),
        FileRole::Component => match component_check::check(file, size) {
            Ok(()) => Ok(Ok(ParsedFile::Opaque)),
            Err(IncompleteComponent::Unreadable(error)) => Err(error),
            Err(why) => Ok(Err(why.to_string())),
        },
        FileRole::Settings => Ok(read_text(file, role)?
            .and_then(|text| parse_model_toml(&text).map_err(|faults| faults.to_string()))
            .map(|settings| ParsedFile::Settings(settings.into()))),
        FileRole::Live => Ok(read_text(file, role)?
            .and_then(|text| parse_config_toml(&text).map_err(|faults| faults.to_string()))
            .map(|values| ParsedFile::Live(values.into()))),
    }
}

fn read_text(file: &mut (impl Read + Seek), role: FileRole) -> io::Result<Result<String, String>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(role.max_size()).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_string()))
}
