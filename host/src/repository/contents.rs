//! Cache of file contents, read once per change.
//!
//! A stamp only decides if a file must be read again; its content is identified by its digest. A file
//! is read after its stamp has been stable for the settle time, so a later change always changes the
//! stamp, provided that the settle time is longer than the resolution of the file system's clock (a
//! few milliseconds on Linux's own file systems; one or two seconds on some network and FAT volumes).

use std::collections::HashMap;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::effort::Effort;
use super::model_toml::{parse_config_toml, parse_model_toml};
use super::settle::Look;
use super::tree::{Place, Tree, unreadable};
use super::{Digest, whole};
use crate::model::{ConfigTable, ModelName, ModelSettings};

/// The purpose for which a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Component,
    Sidecar,
    Golden,
    Settings,
    Live,
}

/// Ten times the largest component seen in practice. Compiling one takes tens of times its size in
/// memory.
pub(super) const MAX_COMPONENT: u64 = 1 << 30;

/// Maximum size of a file of golden requests in bytes. It is read into memory and parsed as a
/// whole.
pub const MAX_GOLDEN: u64 = 16 << 20;

/// The content of a settled file.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) said: Said,
}

/// The parsed content of a configuration file.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Nothing,
    /// A `model.toml`.
    Settings(Arc<ModelSettings>),
    /// A `config.toml`.
    Live(Arc<ConfigTable>),
}

/// Result of reading one file during a scan.
pub(super) enum Reading {
    /// Settled and valid.
    Settled(Content),
    /// Not settled yet; it may settle at this instant.
    Unsettled(Instant),
    /// Settled and invalid, with the reason.
    Faulty(String),
}

impl Role {
    /// Maximum size of such a file in bytes.
    pub(super) fn limit(self) -> u64 {
        match self {
            Role::Component => MAX_COMPONENT,
            // A larger file would not fit into a guest's memory.
            Role::Sidecar => 4 << 30,
            Role::Golden => MAX_GOLDEN,
            // A thousand times the size of a file that sets every key.
            Role::Settings | Role::Live => 256 << 10,
        }
    }
}

/// Cached contents of the files in one repository.
pub(super) struct Contents {
    settle: Duration,
    /// By path and role; `None` for a folder, which is not read. Links can give one file several
    /// roles.
    known: HashMap<(PathBuf, Option<Role>), Known>,
    /// The last valid live configuration of each model, and the scan that last requested it.
    live: HashMap<ModelName, (Arc<ConfigTable>, u64)>,
    round: u64,
    effort: Effort,
}

struct Known {
    look: Look,
    judged: Option<Judged>,
    /// The scan that last requested it. Entries that a scan does not request are dropped.
    round: u64,
}

impl Contents {
    pub(super) fn new(settle: Duration, effort: Effort) -> Self {
        Contents { settle, known: HashMap::new(), live: HashMap::new(), round: 0, effort }
    }

    /// Removes the entries that the ending scan did not request.
    pub(super) fn end_round(&mut self) {
        let round = self.round;
        self.known.retain(|_, known| known.round == round);
        self.live.retain(|_, (_, asked)| *asked == round);
        self.round += 1;
        self.effort.begin_look();
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
    pub(super) fn unsettled(&mut self, folder: &Place) -> Option<Instant> {
        let settle = self.settle;
        pending(look(&mut self.known, self.round, folder, None).look.due(settle))
    }

    /// Reads a file if it has settled and changed; otherwise returns the cached result.
    pub(super) fn read(&mut self, tree: &Tree, file: &Place, role: Role) -> Reading {
        let settle = self.settle;
        let known = look(&mut self.known, self.round, file, Some(role));
        if let Some(due) = pending(known.look.due(settle)) {
            return Reading::Unsettled(due);
        }
        if known.judged.is_none() {
            let judged = read_steady(tree, file, role, &mut self.effort);
            known.judged = match judged {
                Ok(judged) => judged,
                // Not cached: a file that cannot be read now may be readable at the next scan.
                Err(error) => {
                    return Reading::Faulty(format!("cannot be read: {}", unreadable(&error)));
                }
            };
        }
        match known.judged.clone() {
            Some(judged) => judged.map_or_else(Reading::Faulty, Reading::Settled),
            None => Reading::Unsettled(Instant::now() + settle),
        }
    }
}

/// Updates the cache entry of a path with a new observation.
fn look<'k>(
    known: &'k mut HashMap<(PathBuf, Option<Role>), Known>,
    round: u64,
    place: &Place,
    role: Option<Role>,
) -> &'k mut Known {
    let now = Instant::now();
    let anew = || Known { look: Look::next(None, now, place.stamp), judged: None, round };
    let known = known.entry((place.path.clone(), role)).or_insert_with(anew);
    let look = Look::next(Some(known.look), now, place.stamp);
    let judged = known.judged.take().filter(|_| look == known.look);
    *known = Known { look, judged, round };
    known
}

fn pending(due: Instant) -> Option<Instant> {
    (due > Instant::now()).then_some(due)
}

/// The content of a file, or its fault.
type Judged = Result<Content, String>;

/// Reads and checks a file. Returns `None` if it changed before or meanwhile, or was removed.
fn read_steady(
    tree: &Tree,
    file: &Place,
    role: Role,
    effort: &mut Effort,
) -> io::Result<Option<Judged>> {
    let size = file.stamp.size;
    if size > role.limit() {
        return Ok(Some(Err(format!("{size} bytes are more than the {} allowed", role.limit()))));
    }
    let (opened, before) = match tree.open_file(&file.path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if before != file.stamp {
        return Ok(None);
    }
    let (opened, digest) = effort.digest(opened, before);
    let (Some(mut opened), Some(digest)) = (opened, digest?) else { return Ok(None) };
    let judged = judge(&mut opened, role, size)?;
    let after = super::tree::stamp(&opened.metadata()?);
    let steady = after == file.stamp;
    Ok(steady.then(|| judged.map(|said| Content { digest, size, said })))
}

fn judge(file: &mut (impl Read + Seek), role: Role, size: u64) -> io::Result<Result<Said, String>> {
    match role {
        Role::Sidecar | Role::Golden => Ok(Ok(Said::Nothing)),
        Role::Component => match whole::check(file, size) {
            Ok(()) => Ok(Ok(Said::Nothing)),
            Err(whole::Unwhole::Unreadable(error)) => Err(error),
            Err(why) => Ok(Err(why.to_string())),
        },
        Role::Settings => Ok(read_text(file, role)?
            .and_then(|text| parse_model_toml(&text).map_err(|faults| faults.to_string()))
            .map(|settings| Said::Settings(settings.into()))),
        Role::Live => Ok(read_text(file, role)?
            .and_then(|text| parse_config_toml(&text).map_err(|faults| faults.to_string()))
            .map(|values| Said::Live(values.into()))),
    }
}

fn read_text(file: &mut (impl Read + Seek), role: Role) -> io::Result<Result<String, String>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(role.limit()).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_string()))
}
