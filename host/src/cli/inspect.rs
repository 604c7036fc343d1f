//! `wardian inspect`.

mod component;
mod model_file;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::check::{classify, lay_out};
use super::offline_loader::{HostArgs, OfflineLoader, block_on};
use super::progress::Progress;
use super::{Outcome, describe, output};
use crate::engine::{Interface, Template};
use crate::model::{LoadError, Stage};
use crate::repository::{Observed, check_whole};
use component::ComponentSummary;
use model_file::ModelFileSummary;

/// Options of `wardian inspect`.
#[derive(Args)]
#[command(after_help = "\
A file called model.wasm, or a model file in a version's folder, is taken as a version: its load() may read the \
files beside it. Any other file is taken by itself. The model is loaded in a confined process, but asked nothing; `wardian check` asks.

Exit codes: 0 shown, 1 not a model or not readable, 2 wrong usage, 3 shown, but it cannot be loaded.")]
pub(super) struct Inspect {
    /// The component, or the model file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Do not compile and load it: show only what the file holds
    #[arg(long)]
    no_load: bool,
    /// Print the result as JSON, and no progress
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: HostArgs,
}

impl Inspect {
    pub(super) fn run(self) -> Result<Outcome> {
        let quiet = self.json;
        let loader = OfflineLoader::new(self.host, Progress::start(quiet))?;
        let parts = read(&self.file, &loader)
            .with_context(|| format!("cannot inspect {}", self.file.display()))?;

        let loaded = match self.no_load {
            true => None,
            false => Some(block_on(load(&self.file, loader))?),
        };

        match quiet {
            true => output::print_json(&to_json(&parts, loaded.as_ref()))?,
            false => output::print(
                &[parts.lines(), loaded.as_ref().map(lines).unwrap_or_default()].concat(),
            )?,
        }
        Ok(if matches!(loaded, Some(Err(_))) { Outcome::Negative } else { Outcome::Success })
    }
}

/// The content of the file, read without loading it.
enum Summary {
    Component(ComponentSummary),
    ModelFile(ModelFileSummary),
}

impl Summary {
    fn lines(&self) -> Vec<String> {
        match self {
            Summary::Component(parts) => parts.lines(),
            Summary::ModelFile(file) => file.lines(),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Summary::Component(parts) => parts.to_json(),
            Summary::ModelFile(file) => file.to_json(),
        }
    }
}

fn read(file: &Path, loader: &OfflineLoader) -> Result<Summary> {
    if file.is_dir() {
        bail!("it is a folder; name the file in it, or use `wardian check`");
    }
    if let Some(summary) = ModelFileSummary::read(file, &loader.runtimes())? {
        return Ok(Summary::ModelFile(summary));
    }

    let bytes = std::fs::read(file)?;
    // It has the clearest message for a file that is no component.
    check_whole(Cursor::new(&bytes), bytes.len() as u64)?;
    ComponentSummary::parse(&bytes).map(Summary::Component)
}

type Loaded = std::result::Result<Template, LoadError>;

async fn load(file: &Path, loader: OfflineLoader) -> Result<Loaded> {
    let root = loader.empty_repository()?;
    let (kind, path) = classify(file, &loader.runtimes())?;
    lay_out(kind, &path, &loader.runtimes(), &root)?;
    let aspired = loader.scan(&root).await?;

    let loaded = match aspired.observed.iter().find(|seen| seen.is_present()) {
        Some(Observed::Candidate(candidate)) => {
            loader
                .load(candidate, async |engine_loader, tenant, progress| {
                    engine_loader.prepare(tenant, candidate, progress).await
                })
                .await
        }
        Some(Observed::Faulty { reason, .. }) => Err(LoadError::new(Stage::Read, reason)),
        Some(Observed::Unsettled { .. } | Observed::Missing { .. }) | None => {
            Err(LoadError::new(Stage::Read, "its files keep changing"))
        }
    };
    loader.finish_progress();
    Ok(loaded)
}

fn lines(loaded: &Loaded) -> Vec<String> {
    match loaded {
        Ok(template) => {
            let mut lines = match template.has(Interface::Interceptor) {
                true => vec![("wraps", "every call to its tenant's models".into())],
                false => describe::metadata_lines(template.metadata()),
            };
            lines.push(("snapshot", describe::snapshot_text(template.snapshot())));
            lines.push(("compiled", describe::format_bytes(template.compiled_size())));
            lines.push((
                "memory",
                format!("{} to start with", describe::format_bytes(template.initial_memory())),
            ));
            lines.push((
                "lifecycle",
                if template.has(Interface::Lifecycle) { "warm-up and unload" } else { "none" }
                    .into(),
            ));
            [vec!["loaded".into()], describe::table(&lines).collect()].concat()
        }
        Err(LoadError { stage, reason, .. }) => {
            [vec![format!("NOT LOADED ({stage})")], describe::indented(reason).collect()].concat()
        }
    }
}

fn to_json(parts: &Summary, loaded: Option<&Loaded>) -> Value {
    let mut json = parts.to_json();
    match loaded {
        None => {}
        Some(Ok(template)) => {
            json["loaded"] = json!({
                "ok": true,
                "metadata": describe::metadata_json(template.metadata()),
                "snapshot": describe::snapshot_json(template.snapshot()),
                "compiled_bytes": template.compiled_size(),
                "memory_bytes": template.initial_memory(),
                "lifecycle": template.has(Interface::Lifecycle),
            });
        }
        Some(Err(LoadError { stage, reason, .. })) => {
            json["loaded"] = json!({"ok": false, "stage": stage.to_string(), "reason": reason});
        }
    }

    json
}
