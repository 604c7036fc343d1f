//! The result of a check, for the terminal and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::describe;
use crate::engine::Snapshot;
use crate::model::{LoadError, Metadata, RuntimeInfo};

/// The result for one version, or for a model as a whole.
pub(super) struct VersionReport {
    pub(super) model: String,
    /// `None` for the model as a whole.
    pub(super) version: Option<u64>,
    pub(super) outcome: Result<CheckedVersion, LoadError>,
}

/// The properties of a version that would serve.
pub(super) struct CheckedVersion {
    /// `None` for a component that is a model itself.
    pub(super) runtime: Option<RuntimeInfo>,
    pub(super) metadata: Metadata,
    pub(super) snapshot: Snapshot,
    pub(super) memory: u64,
    pub(super) compiled: u64,
    pub(super) validation: Validation,
    pub(super) elapsed: Duration,
}

/// The extent to which a version was validated.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Validation {
    /// It has answered this many golden requests.
    Golden(usize),
    /// It has warmed up, and has no golden requests.
    WarmUp,
    /// It was not validated, because its tenant's database must be left alone.
    Skipped,
}

/// The lines for the terminal.
pub(super) fn lines(verdicts: &[VersionReport]) -> Vec<String> {
    let mut lines: Vec<_> = verdicts.iter().flat_map(VersionReport::lines).collect();
    let passed = verdicts.iter().filter(|verdict| verdict.outcome.is_ok()).count();
    lines.push(format!("{passed} of {} OK", verdicts.len()));
    lines
}

/// All reports as JSON.
pub(super) fn to_json(verdicts: &[VersionReport]) -> Value {
    let ok = verdicts.iter().all(|verdict| verdict.outcome.is_ok());
    json!({"ok": ok, "versions": verdicts.iter().map(VersionReport::to_json).collect::<Vec<_>>()})
}

impl VersionReport {
    fn lines(&self) -> Vec<String> {
        let version = self.version.map(|version| format!(" version {version}")).unwrap_or_default();
        let name = describe::to_printable(&self.model);
        let (head, body) = match &self.outcome {
            Ok(passed) => (passed.head(), passed.lines()),
            Err(error) => {
                (format!("FAILED ({})", error.stage), describe::indented(&error.reason).collect())
            }
        };
        [vec![format!("{name}{version}: {head}")], body].concat()
    }

    fn to_json(&self) -> Value {
        let VersionReport { model, version, outcome } = self;
        let mut json = json!({"model": model, "version": version, "ok": outcome.is_ok()});

        match outcome {
            Ok(passed) => {
                json["seconds"] = passed.elapsed.as_secs_f64().into();
                json["runtime"] = passed.runtime.as_ref().map(describe::runtime_json).into();
                json["metadata"] = describe::metadata_json(&passed.metadata);
                json["snapshot"] = describe::snapshot_json(&passed.snapshot);
                json["memory_bytes"] = passed.memory.into();
                json["compiled_bytes"] = passed.compiled.into();
                json["proved"] = (passed.validation != Validation::Skipped).into();
                json["golden_requests"] = passed.golden_requests().into();
            }
            Err(LoadError { stage, reason, .. }) => {
                json["stage"] = stage.to_string().into();
                json["reason"] = reason.as_str().into();
            }
        }
        json
    }
}

impl CheckedVersion {
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.runtime.iter().map(describe::runtime_line).collect();
        lines.extend(describe::metadata_lines(&self.metadata));
        lines.push(("snapshot", describe::snapshot_text(&self.snapshot)));
        let memory = describe::format_bytes(self.memory);
        let compiled = describe::format_bytes(self.compiled);
        lines.push(("memory", format!("{memory} to start with, {compiled} compiled")));
        lines.push(self.validation_line());
        describe::table(&lines).collect()
    }

    fn head(&self) -> String {
        let unproved = if self.validation == Validation::Skipped { ", but not proved" } else { "" };
        format!("OK in {:.2} s{unproved}", self.elapsed.as_secs_f64())
    }

    fn validation_line(&self) -> (&'static str, String) {
        match self.validation {
            Validation::Golden(1) => ("golden", "1 request answered as written".into()),
            Validation::Golden(count) => {
                ("golden", format!("{count} requests answered as written"))
            }
            Validation::WarmUp => ("golden", "no golden.json, so no answer was compared".into()),
            Validation::Skipped => (
                "proof",
                "left out: it has its tenant's PostgreSQL, which a check leaves alone".into(),
            ),
        }
    }

    fn golden_requests(&self) -> Option<usize> {
        match self.validation {
            Validation::Golden(count) => Some(count),
            Validation::WarmUp | Validation::Skipped => None,
        }
    }
}
