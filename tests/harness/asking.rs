//! What a test asks of a server, and waits for.

use serde_json::{Value, json};

use super::client::{Call, Pending, Response};
use super::server::Server;
use super::wait::{until, until_some};

/// A line of the repository index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// 0 where the line is about the model as a whole.
    pub(crate) version: u64,
    pub(crate) state: String,
    pub(crate) reason: String,
}

/// Asking.
impl Server {
    /// A request that is being put together.
    pub(crate) fn call(&self, method: &str, path: &str) -> Call {
        Call::new(self.address(), method, path)
    }

    /// Asks for something.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.call("GET", path).send()
    }

    /// Sends something.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Response {
        self.call("POST", path).json(body).send()
    }

    /// Asks a model.
    pub(crate) fn infer(&self, model: &str, body: &Value) -> Response {
        self.post(&format!("/v2/models/{model}/infer"), body)
    }

    /// Asks a puppet to behave in some way, such as `trap`; `ok` is to behave well.
    pub(crate) fn behave(&self, model: &str, word: &str) -> Response {
        self.infer(model, &behaviour(word))
    }

    /// Like `behave`, without waiting for the answer.
    pub(crate) fn begin_behave(&self, model: &str, word: &str) -> Pending {
        self.call("POST", &format!("/v2/models/{model}/infer")).json(&behaviour(word)).begin()
    }

    /// The version that a puppet says it is, which is not the number it is served under.
    #[track_caller]
    pub(crate) fn version_of(&self, model: &str) -> i64 {
        self.behave(model, "ok").number("version")
    }

    /// What is in force for a model.
    #[track_caller]
    pub(crate) fn config_of(&self, model: &str) -> Value {
        self.get(&format!("/v2/models/{model}/config")).ok().json()
    }

    /// Tells it to load a model.
    pub(crate) fn load(&self, model: &str) -> Response {
        self.post(&format!("/v2/repository/models/{model}/load"), &json!({}))
    }

    /// Tells it to unload a model.
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

    /// The repository index.
    pub(crate) fn index(&self) -> Vec<Entry> {
        Entry::read_all(&self.post("/v2/repository/index", &json!({})))
    }

    /// A line of the repository index. Version 0 is the model as a whole.
    pub(crate) fn entry(&self, model: &str, version: u64) -> Option<Entry> {
        self.index().into_iter().find(|entry| entry.name == model && entry.version == version)
    }

    /// The value of a metric, summed over the lines that begin so; `None` if there are none.
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

    /// Waits until a version cannot serve, and gives the reason.
    pub(crate) fn until_unavailable(&self, model: &str, version: u64) -> String {
        self.until_state(model, version, "UNAVAILABLE").reason
    }

    /// Waits until a version cannot serve for a reason with these words in it.
    pub(crate) fn until_refused(&self, model: &str, version: u64, words: &str) {
        self.until_entry(model, version, words, |entry| {
            entry.state == "UNAVAILABLE" && entry.reason.contains(words)
        });
    }

    /// Waits until a version is in that state of the index.
    pub(crate) fn until_state(&self, model: &str, version: u64, state: &str) -> Entry {
        self.until_entry(model, version, state, |entry| entry.state == state)
    }

    /// Waits until a line of the index is as wanted.
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

    /// Waits until nothing is known of a model.
    pub(crate) fn until_gone(&self, model: &str) {
        until(&format!("the end of {model}"), || {
            !self.index().iter().any(|entry| entry.name == model)
        });
    }

    /// Waits until a puppet says that it is this version.
    pub(crate) fn until_version_of(&self, model: &str, version: i64) {
        until(&format!("the answer of {model} version {version}"), || {
            let response = self.behave(model, "ok");
            response.status == 200 && response.number("version") == version
        });
    }

    /// Waits until so many instances of a model are at work.
    pub(crate) fn until_busy(&self, model: &str, instances: u64) {
        until(&format!("that {instances} instances of {model} are at work"), || {
            self.config_of(model)["wardian"]["instances"]["busy"] == instances
        });
    }

    /// Waits until these words are in the log.
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

/// Where a version is uploaded to and removed from.
pub(crate) fn version_path(model: &str, version: u64) -> String {
    format!("/v2/repository/models/{model}/versions/{version}")
}

/// A request without inputs, which tells a puppet what to do.
fn behaviour(word: &str) -> Value {
    json!({ "inputs": [], "parameters": { "behave": word } })
}
