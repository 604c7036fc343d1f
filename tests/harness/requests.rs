//! Requests to a server, and waiting for its state.

use serde_json::{Value, json};

use super::client::{Call, Pending, Response};
use super::server::Server;
use super::wait::{until, until_some};

/// A line of the repository index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// The version number, or 0 if the line is about the model as a whole.
    pub(crate) version: u64,
    pub(crate) state: String,
    pub(crate) reason: String,
}

/// Requests.
impl Server {
    /// Starts a request builder.
    pub(crate) fn call(&self, method: &str, path: &str) -> Call {
        Call::new(self.address(), method, path)
    }

    /// Sends a GET request.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.call("GET", path).send()
    }

    /// Sends a POST request with a JSON body.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Response {
        self.call("POST", path).json(body).send()
    }

    /// Sends an inference request.
    pub(crate) fn infer(&self, model: &str, body: &Value) -> Response {
        self.post(&format!("/v2/models/{model}/infer"), body)
    }

    /// Sends a behaviour word to a scripted model, such as `trap`; `ok` makes it answer normally.
    pub(crate) fn behave(&self, model: &str, word: &str) -> Response {
        self.infer(model, &behaviour(word))
    }

    /// Like `behave`, without waiting for the response.
    pub(crate) fn begin_behave(&self, model: &str, word: &str) -> Pending {
        self.call("POST", &format!("/v2/models/{model}/infer")).json(&behaviour(word)).begin()
    }

    /// Returns the version that a scripted model reports, which differs from the number under which
    /// it is served.
    #[track_caller]
    pub(crate) fn version_of(&self, model: &str) -> i64 {
        self.behave(model, "ok").number("version")
    }

    /// Returns the configuration in force for a model.
    #[track_caller]
    pub(crate) fn config_of(&self, model: &str) -> Value {
        self.get(&format!("/v2/models/{model}/config")).ok().json()
    }

    /// Sends a load command.
    pub(crate) fn load(&self, model: &str) -> Response {
        self.post(&format!("/v2/repository/models/{model}/load"), &json!({}))
    }

    /// Sends an unload command.
    pub(crate) fn unload(&self, model: &str) -> Response {
        self.post(&format!("/v2/repository/models/{model}/unload"), &json!({}))
    }

    /// Uploads a version of a model.
    pub(crate) fn upload(
        &self,
        model: &str,
        version: u64,
        component: impl Into<Vec<u8>>,
    ) -> Response {
        self.call("PUT", &version_path(model, version)).body(component).send()
    }

    /// Removes a version of a model.
    pub(crate) fn remove(&self, model: &str, version: u64) -> Response {
        self.call("DELETE", &version_path(model, version)).send()
    }

    /// Returns the repository index.
    pub(crate) fn index(&self) -> Vec<Entry> {
        Entry::read_all(&self.post("/v2/repository/index", &json!({})))
    }

    /// Returns a line of the repository index. Version 0 is the model as a whole.
    pub(crate) fn entry(&self, model: &str, version: u64) -> Option<Entry> {
        self.index().into_iter().find(|entry| entry.name == model && entry.version == version)
    }

    /// Returns the value of a metric, summed over the lines that begin with `beginning`; `None` if
    /// there are none.
    pub(crate) fn metric(&self, beginning: &str) -> Option<f64> {
        let text = self.get("/metrics").text();
        let values = text.lines().filter(|line| line.starts_with(beginning));
        let values = values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.reduce(|sum, value| sum + value)
    }
}

/// Waiting for a state.
impl Server {
    /// Waits until every model has been tried.
    pub(crate) fn until_tried(&self) {
        until("that every model has been tried", || self.get("/v2/health/ready").status == 200);
    }

    /// Waits until a version serves.
    pub(crate) fn until_ready(&self, model: &str, version: u64) {
        self.until_state(model, version, "READY");
    }

    /// Waits until a version cannot serve, and returns the reason.
    pub(crate) fn until_unavailable(&self, model: &str, version: u64) -> String {
        self.until_state(model, version, "UNAVAILABLE").reason
    }

    /// Waits until a version cannot serve for a reason that contains `words`.
    pub(crate) fn until_refused(&self, model: &str, version: u64, words: &str) {
        self.until_entry(model, version, words, |entry| {
            entry.state == "UNAVAILABLE" && entry.reason.contains(words)
        });
    }

    /// Waits until a version is in a state of the index.
    pub(crate) fn until_state(&self, model: &str, version: u64, state: &str) -> Entry {
        self.until_entry(model, version, state, |entry| entry.state == state)
    }

    /// Waits until a line of the index satisfies a condition.
    pub(crate) fn until_entry(
        &self,
        model: &str,
        version: u64,
        what: &str,
        fits: impl Fn(&Entry) -> bool,
    ) -> Entry {
        let found = || self.entry(model, version).filter(|entry| fits(entry));
        until_some(&format!("'{what}' for {model} version {version}"), found)
    }

    /// Waits until the index has no line about a model.
    pub(crate) fn until_gone(&self, model: &str) {
        until(&format!("the end of {model}"), || {
            !self.index().iter().any(|entry| entry.name == model)
        });
    }

    /// Waits until a scripted model reports this version.
    pub(crate) fn until_version_of(&self, model: &str, version: i64) {
        until(&format!("the answer of {model} version {version}"), || {
            let response = self.behave(model, "ok");
            response.status == 200 && response.number("version") == version
        });
    }

    /// Waits until this many instances of a model are busy.
    pub(crate) fn until_busy(&self, model: &str, instances: u64) {
        until(&format!("that {instances} instances of {model} are at work"), || {
            self.config_of(model)["wardian"]["instances"]["busy"] == instances
        });
    }

    /// Waits until the log contains `words`.
    pub(crate) fn until_logged(&self, words: &str) {
        until(&format!("'{words}' in the log"), || self.log().contains(words));
    }
}

impl Entry {
    pub(super) fn read_all(index: &Response) -> Vec<Entry> {
        index.ok().json().as_array().unwrap().iter().map(Entry::read).collect()
    }

    fn read(json: &Value) -> Entry {
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        Entry {
            name: text("name"),
            version: text("version").parse().unwrap_or(0),
            state: text("state"),
            reason: text("reason"),
        }
    }
}

/// The path under which a version is uploaded and removed.
pub(crate) fn version_path(model: &str, version: u64) -> String {
    format!("/v2/repository/models/{model}/versions/{version}")
}

/// A request without inputs, with a behaviour word for a scripted model.
fn behaviour(word: &str) -> Value {
    json!({ "inputs": [], "parameters": { "behave": word } })
}
