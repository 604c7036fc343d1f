//! `wardian check`.

mod layout;
mod report;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use super::offline_loader::{HostArgs, OfflineLoader, block_on};
use super::progress::Progress;
use super::{Outcome, output};
use crate::api::parse_golden;
use crate::engine::Template;
use crate::model::{LoadError, Metadata, ModelName, Stage, route_conflict};
use crate::repository::{Candidate, MAX_GOLDEN_SIZE, Observed, reserved_name};
use crate::tenant::Pacer;
pub(super) use layout::{PathKind, classify, lay_out};
use report::{CheckedVersion, Validation, VersionReport};

/// Options of `wardian check`.
#[derive(Args)]
#[command(after_help = "\
Each version that is there is read, validated, compiled, loaded, warmed up and asked its golden requests, \
whether or not model.toml wants it. Nothing is served and nothing in PATH is changed.

Exit codes: 0 all would serve, 1 it could not be checked, 2 wrong usage, 3 something would not serve.")]
pub(super) struct Check {
    /// A model file (such as .onnx), a component (.wasm), a version's folder (with a model.wasm or
    /// a model file), a model's folder (with numbered versions), or a whole repository
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Print the result as JSON, and no progress
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: HostArgs,
}

impl Check {
    pub(super) fn run(self) -> Result<Outcome> {
        let loader = OfflineLoader::new(self.host, Progress::start(self.json))?;
        let (kind, path) = classify(&self.path, &loader.runtimes())?;
        let reports = match check_name(kind, &path) {
            Some(report) => vec![report],
            None => block_on(check(kind, &path, loader))?,
        };

        match self.json {
            true => output::print_json(&report::to_json(&reports))?,
            false => output::print(&report::lines(&reports))?,
        }
        let ok = reports.iter().all(|report| report.outcome.is_ok());

        Ok(if ok { Outcome::Success } else { Outcome::Negative })
    }
}

/// Returns a failed report if the host would skip the model because of its name.
fn check_name(kind: PathKind, path: &Path) -> Option<VersionReport> {
    let name = layout::model_name_of(path);
    let reason = match (kind, ModelName::new(&name)) {
        (PathKind::ModelFile | PathKind::Version | PathKind::Repository, _) => return None,
        (_, Ok(model)) if model.is_reserved() => reserved_name(&name),
        (_, Ok(_)) => return None,
        (_, Err(error)) => {
            format!("{error}; the host takes the name from the file or folder, so rename it")
        }
    };

    Some(VersionReport {
        model: name,
        version: None,
        outcome: Err(LoadError::new(Stage::Read, reason)),
    })
}

async fn check(kind: PathKind, path: &Path, loader: OfflineLoader) -> Result<Vec<VersionReport>> {
    let root = match kind {
        // The repository itself, with its links.
        PathKind::Repository => path.to_owned(),
        _ => loader.empty_repository()?,
    };

    lay_out(kind, path, &loader.runtimes(), &root)?;
    let aspired = loader.scan(&root).await?;
    if aspired.observed.is_empty() {
        bail!(
            "there is no model in {}; models lie there as NAME.onnx or NAME.wasm, or in NAME/1/",
            path.display()
        );
    }

    let mut reports = Vec::new();
    // A single version is checked without the other versions that its settings name.
    let judged =
        aspired.observed.iter().filter(|seen| seen.is_present() || kind != PathKind::Version);
    let mut taken: Vec<&Candidate> = Vec::new();
    for seen in judged {
        let report = match taken_route(seen, &taken) {
            Some(report) => report,
            None => check_version(seen, &loader).await,
        };
        if let (Ok(_), Observed::Candidate(candidate)) = (&report.outcome, seen) {
            taken.push(candidate);
        }
        // The host failed, not the model, so nothing can be reported about the model.
        if let Err(LoadError { stage: Stage::Host | Stage::Disk, reason, .. }) = &report.outcome {
            bail!("{} could not be checked: {reason}", report.model);
        }
        reports.push(report);
    }

    loader.finish_progress();
    Ok(reports)
}

/// Returns a failed report if one of the models that were checked before has a route of this one.
fn taken_route(seen: &Observed, taken: &[&Candidate]) -> Option<VersionReport> {
    let Observed::Candidate(candidate) = seen else { return None };
    let others = taken.iter().filter(|other| other.name != candidate.name);
    let others = others.map(|other| (&other.name, other.settings.routes.as_slice()));
    let reason = route_conflict(&candidate.settings.routes, others)?;

    Some(VersionReport {
        model: candidate.name.to_string(),
        version: Some(candidate.version.number()),
        outcome: Err(LoadError::new(Stage::Routes, reason)),
    })
}

async fn check_version(seen: &Observed, loader: &OfflineLoader) -> VersionReport {
    let model = seen.name().to_string();
    let version = seen.version().map(|version| version.number());
    let outcome = match seen {
        Observed::Candidate(candidate) => load_version(candidate, loader).await,
        Observed::Faulty { reason, .. } | Observed::Missing { reason, .. } => {
            Err(LoadError::new(Stage::Read, reason))
        }
        Observed::Unsettled { .. } => {
            let reason = "its files keep changing; check it once nothing writes to them";
            Err(LoadError::new(Stage::Read, reason))
        }
    };

    VersionReport { model, version, outcome }
}

async fn load_version(
    candidate: &Candidate,
    loader: &OfflineLoader,
) -> Result<CheckedVersion, LoadError> {
    let started = Instant::now();
    if !loader.can_validate(candidate) {
        let template = loader
            .load(candidate, async |engine_loader, tenant, progress| {
                engine_loader.prepare(tenant, candidate, progress).await
            })
            .await?;
        return Ok(checked_version(&template, Validation::Skipped, started));
    }

    let validated = loader
        .load(candidate, async |engine_loader, tenant, progress| {
            engine_loader.load_with_progress(tenant, candidate, progress).await
        })
        .await?;
    let validation =
        count_golden_requests(candidate).map_or(Validation::WarmUp, Validation::Golden);
    Ok(checked_version(validated.servable().template(), validation, started))
}

fn checked_version(
    template: &Template,
    validation: Validation,
    started: Instant,
) -> CheckedVersion {
    CheckedVersion {
        runtime: template.runtime().cloned(),
        metadata: Metadata::clone(template.metadata()),
        snapshot: template.snapshot().clone(),
        memory: template.initial_memory(),
        compiled: template.compiled_size(),
        validation,
        elapsed: started.elapsed(),
    }
}

/// Returns the number of golden requests. They were read and answered a moment ago.
fn count_golden_requests(candidate: &Candidate) -> Option<usize> {
    let text = candidate.golden.as_ref()?.file.read(MAX_GOLDEN_SIZE).ok()?;
    parse_golden(&text, &Pacer::unmetered()).ok().map(|golden| golden.cases.len())
}
