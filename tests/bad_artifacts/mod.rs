//! Faulty artifacts: each is reported with a reason that its author understands, and affects no
//! other model.

mod answers;
mod bombs;
mod bytes;
mod components;
mod loads;

use crate::harness::{Models, Server, Setup, scripted, until};

/// A file to drop in, and words that its reason must contain.
struct Case {
    name: &'static str,
    component: Vec<u8>,
    words: &'static [&'static str],
    /// The model's `model.toml`; empty for a bare component.
    settings: &'static str,
}

impl Case {
    fn under(self, settings: &'static str) -> Case {
        Case { settings, ..self }
    }

    fn put(&self, models: &Models) {
        if self.settings.is_empty() {
            return models.bare(self.name, self.component.clone());
        }
        models.settings(self.name, self.settings);
        models.version(self.name, 1, self.component.clone());
    }
}

/// A deadline that a busy machine does not reach before the CPU time is used up.
const PATIENT: &str = "[limits]\ndeadline = '10m'\ncpu_time = '500ms'";

fn case(name: &'static str, component: impl Into<Vec<u8>>, words: &'static [&'static str]) -> Case {
    Case { name, component: component.into(), words, settings: "" }
}

/// Puts every case beside a good model and starts the server. Asserts that none of the cases
/// serves, that each has its reason, and that the good model answers. Returns the server for
/// further checks.
fn check(cases: Vec<Case>, config: &str) -> Server {
    let fill = |models: &Models| cases.iter().for_each(|case| case.put(models));
    let server = beside_a_good_model(fill).config(config).start();
    server.until_version_of("good", 1);
    until("that every case has been tried", || cases.iter().all(|case| is_decided(&server, case)));
    let wrong: Vec<_> = cases.iter().filter_map(|case| fault(&server, case)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.until_tried();
    assert_eq!(server.version_of("good"), 1);
    server
}

fn beside_a_good_model(fill: impl FnOnce(&Models)) -> Setup {
    Server::with_models(|models| {
        models.bare("good", scripted("version=1"));
        fill(models);
    })
}

/// Returns the reason from the index, or an empty text if there is none yet.
fn reason(server: &Server, name: &str) -> String {
    let index = server.index();
    let entry = index.iter().find(|entry| entry.name == name && entry.state == "UNAVAILABLE");
    entry.map(|entry| entry.reason.clone()).unwrap_or_default()
}

fn is_decided(server: &Server, case: &Case) -> bool {
    let index = server.index();
    let states =
        index.iter().filter(|entry| entry.name == case.name).map(|entry| entry.state.as_str());
    let settled = |reason: &str| !reason.is_empty() && !reason.contains("still changing");
    states.into_iter().any(|state| state == "READY") || settled(&reason(server, case.name))
}

fn fault(server: &Server, case: &Case) -> Option<String> {
    let reason = reason(server, case.name);
    let ready = server.get(&format!("/v2/models/{}/ready", case.name)).outcome();
    let missing: Vec<_> = case.words.iter().filter(|words| !reason.contains(**words)).collect();
    let right =
        missing.is_empty() && ready == (503, "model_not_ready".to_owned()) && reason.len() < 10_000;
    (!right).then(|| {
        format!(
            "{}: {missing:?} is missing in '{reason}'; asked whether it is ready: {ready:?}",
            case.name
        )
    })
}
