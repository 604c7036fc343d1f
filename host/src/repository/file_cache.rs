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

use super::confined_dir::{ConfinedDir, FileRef, read_error_text};
use super::model_toml::{parse_config_toml, parse_model_toml};
use super::scan_meter::ScanMeter;
use super::stability::Stability;
use super::{Digest, component_check};
use crate::model::{ConfigTable, ModelName, ModelSettings};

/// The purpose for which a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FileRole {
    Component,
    Sidecar,
    Golden,
    Settings,
    Live,
}

/// Ten times the largest component seen in practice. Compiling one takes tens of times its size in
/// memory.
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

/// The parsed content of a configuration file.
#[derive(Clone, Debug)]
pub(super) enum ParsedFile {
    Opaque,
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
            FileRole::Sidecar => 4 << 30,
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
    known: HashMap<(PathBuf, Option<FileRole>), CachedFile>,
    /// The last valid live configuration of each model, and the scan that last requested it.
    live: HashMap<ModelName, (Arc<ConfigTable>, u64)>,
    round: u64,
    effort: ScanMeter,
}

struct CachedFile {
    look: Stability,
    judged: Option<Verdict>,
    /// The scan that last requested it. Entries that a scan does not request are dropped.
    round: u64,
}

impl FileCache {
    pub(super) fn new(settle: Duration, effort: ScanMeter) -> Self {
        FileCache { settle, known: HashMap::new(), live: HashMap::new(), round: 0, effort }
    }

    /// Removes the entries that the ending scan did not request.
    pub(super) fn end_scan(&mut self) {
        let round = self.round;
        self.known.retain(|_, known| known.round == round);
        self.live.retain(|_, (_, asked)| *asked == round);
        self.round += 1;
        self.effort.begin_scan();
    }

    /// Returns a model's live configuration: `now`, or the previous values if `now` is `None`.
    pub(super) fn live(
        &mut self,
        model: &ModelName,
        now: Option<Arc<ConfigTable>>,
    ) -> Arc<ConfigTable> {
        let (values, round) = self.live.entry(model.clone()).or_default();
        (*values, *round) = (now.unwrap_or_else(|| values.clone()), self.round);
        values.clone()
    }

    /// Returns the instant at which a folder settles if it does not change; `None` if it has
    /// settled.
    pub(super) fn settles_at(&mut self, folder: &FileRef) -> Option<Instant> {
        let settle = self.settle;
        if_in_future(look(&mut self.known, self.round, folder, None).look.settles_at(settle))
    }

    /// Reads a file if it has settled and changed; otherwise returns the cached result.
    pub(super) fn read(
        &mut self,
        tree: &ConfinedDir,
        file: &FileRef,
        role: FileRole,
    ) -> ReadOutcome {
        let settle = self.settle;
        let known = look(&mut self.known, self.round, file, Some(role));

        if let Some(due) = if_in_future(known.look.settles_at(settle)) {
            return ReadOutcome::Unsettled(due);
        }

        if known.judged.is_none() {
            let judged = read_if_stable(tree, file, role, &mut self.effort);
            known.judged = match judged {
                Ok(judged) => judged,
                // Not cached: a file that cannot be read now may be readable at the next scan.
                Err(error) => {
                    return ReadOutcome::Faulty(format!(
                        "cannot be read: {}",
                        read_error_text(&error)
                    ));
                }
            };
        }

        match known.judged.clone() {
            Some(judged) => judged.map_or_else(ReadOutcome::Faulty, ReadOutcome::Settled),
            None => ReadOutcome::Unsettled(Instant::now() + settle),
        }
    }
}

/// Updates the cache entry of a path with a new observation.
fn look<'k>(
    known: &'k mut HashMap<(PathBuf, Option<FileRole>), CachedFile>,
    round: u64,
    place: &FileRef,
    role: Option<FileRole>,
) -> &'k mut CachedFile {
    let now = Instant::now();
    let anew =
        || CachedFile { look: Stability::observe(None, now, place.stamp), judged: None, round };
    let known = known.entry((place.path.clone(), role)).or_insert_with(anew);
    let look = Stability::observe(Some(known.look), now, place.stamp);
    let judged = known.judged.take().filter(|_| look == known.look);
    *known = CachedFile { look, judged, round };

    known
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
    effort: &mut ScanMeter,
) -> io::Result<Option<Verdict>> {
    let size = file.stamp.size;
    if size > role.max_size() {
        return Ok(Some(Err(format!(
            "{size} bytes are more than the {} allowed",
            role.max_size()
        ))));
    }

    let (opened, before) = match tree.open_file(&file.path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };

    if before != file.stamp {
        return Ok(None);
    }

    let (opened, digest) = effort.hash_file(opened, before);
    let (Some(mut opened), Some(digest)) = (opened, digest?) else { return Ok(None) };
    let judged = check_content(&mut opened, role, size)?;
    let after = super::confined_dir::stamp(&opened.metadata()?);
    let steady = after == file.stamp;

    Ok(steady.then(|| judged.map(|said| FileContent { digest, size, parsed: said })))
}

fn check_content(
    file: &mut (impl Read + Seek),
    role: FileRole,
    size: u64,
) -> io::Result<Result<ParsedFile, String>> {
    match role {
        FileRole::Sidecar | FileRole::Golden => Ok(Ok(ParsedFile::Opaque)),
        FileRole::Component => match component_check::check(file, size) {
            Ok(()) => Ok(Ok(ParsedFile::Opaque)),
            Err(component_check::IncompleteComponent::Unreadable(error)) => Err(error),
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
