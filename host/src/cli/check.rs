//! `wardian check`.

mod layout;
mod verdict;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use super::progress::Progress;
use super::trial::{HostArgs, Trial, block_on};
use super::{Outcome, output};
use crate::api::parse_golden;
use crate::engine::Template;
use crate::model::{LoadError, Metadata, ModelName, Stage};
use crate::repository::{Candidate, MAX_GOLDEN, Seen, reserved_name};
use crate::tenant::Pace;
pub(super) use layout::{Kind, find, lay_out};
use verdict::{Passed, Proof, Verdict};

/// Options of `wardian check`.
#[derive(Args)]
#[command(after_help = "\
Each version that is there is read, validated, compiled, loaded, warmed up and asked its golden requests, \
whether or not model.toml wants it. Nothing is served and nothing in PATH is changed.

Exit codes: 0 all would serve, 1 it could not be checked, 2 wrong usage, 3 something would not serve.")]
pub(super) struct Check {
    /// A component (.wasm), a version's folder (with a model.wasm), a model's folder (with numbered
    /// versions), or a whole repository
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Print what was found as JSON, and no progress
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: HostArgs,
}

impl Check {
    pub(super) fn run(self) -> Result<Outcome> {
        let (kind, path) = find(&self.path)?;
        let verdicts = match misnamed(kind, &path) {
            Some(verdict) => vec![verdict],
            None => {
                block_on(check(kind, &path, Trial::new(self.host, Progress::start(self.json))?))?
            }
        };
        match self.json {
            true => output::print_json(&verdict::to_json(&verdicts))?,
            false => output::print(&verdict::lines(&verdicts))?,
        }
        let ok = verdicts.iter().all(|verdict| verdict.outcome.is_ok());
        Ok(if ok { Outcome::Success } else { Outcome::No })
    }
}

/// What the host would pass over because of its name.
fn misnamed(kind: Kind, path: &Path) -> Option<Verdict> {
    let name = layout::name(path);
    let reason = match (kind, ModelName::new(&name)) {
        (Kind::Version | Kind::Repository, _) => return None,
        (_, Ok(model)) if model.is_reserved() => reserved_name(&name),
        (_, Ok(_)) => return None,
        (_, Err(error)) => {
            format!("{error}; the host takes the name from the file or folder, so rename it")
        }
    };
    Some(Verdict { model: name, version: None, outcome: Err(LoadError::new(Stage::Read, reason)) })
}

async fn check(kind: Kind, path: &Path, trial: Trial) -> Result<Vec<Verdict>> {
    let root = match kind {
        // The real one, and its links with it.
        Kind::Repository => path.to_owned(),
        _ => trial.empty_repository()?,
    };
    lay_out(kind, path, &root)?;
    let aspired = trial.look(&root).await?;
    if aspired.seen.is_empty() {
        bail!(
            "there is no model in {}; models lie there as NAME.wasm or as NAME/1/model.wasm",
            path.display()
        );
    }
    let mut verdicts = Vec::new();
    // A version by itself is without the others that its settings name.
    let judged = aspired.seen.iter().filter(|seen| seen.is_there() || kind != Kind::Version);
    for seen in judged {
        let verdict = judge(seen, &trial).await;
        // This machine failed and not the model, of which nothing can be said.
        if let Err(LoadError { stage: Stage::Host | Stage::Disk, reason }) = &verdict.outcome {
            bail!("{} could not be checked: {reason}", verdict.model);
        }
        verdicts.push(verdict);
    }
    trial.finish();
    Ok(verdicts)
}

async fn judge(seen: &Seen, trial: &Trial) -> Verdict {
    let (model, version) =
        (seen.name().to_string(), seen.version().map(|version| version.number()));
    let outcome = match seen {
        Seen::Whole(candidate) => load(candidate, trial).await,
        Seen::Faulty { reason, .. } | Seen::Missing { reason, .. } => {
            Err(LoadError::new(Stage::Read, reason))
        }
        Seen::Unsettled { .. } => {
            let reason = "its files keep changing; check it once nothing writes to them";
            Err(LoadError::new(Stage::Read, reason))
        }
    };
    Verdict { model, version, outcome }
}

async fn load(candidate: &Candidate, trial: &Trial) -> Result<Passed, LoadError> {
    let started = Instant::now();
    if !trial.can_prove(candidate) {
        let template = trial
            .load(candidate, async |loader, tenant, progress| {
                loader.prepare(tenant, candidate, progress).await
            })
            .await?;
        return Ok(passed(&template, Proof::LeftOut, started));
    }
    let proved = trial
        .load(candidate, async |loader, tenant, progress| {
            loader.load(tenant, candidate, progress).await
        })
        .await?;
    let proof = golden_requests(candidate).map_or(Proof::WarmUp, Proof::Golden);
    Ok(passed(proved.servable().template(), proof, started))
}

fn passed(template: &Template, proof: Proof, started: Instant) -> Passed {
    Passed {
        metadata: Metadata::clone(template.metadata()),
        snapshot: template.snapshot().clone(),
        memory: template.initial_memory(),
        compiled: template.compiled_size(),
        proof,
        took: started.elapsed(),
    }
}

/// How many golden requests there are. They were read and answered a moment ago.
fn golden_requests(candidate: &Candidate) -> Option<usize> {
    let text = candidate.golden.as_ref()?.file.read(MAX_GOLDEN).ok()?;
    parse_golden(&text, &Pace::free()).ok().map(|golden| golden.cases.len())
}
