//! Asking in the name of a tenant: by naming it where nobody needs a key, else by a key.

use std::fmt;

use serde_json::{Value, json};

use super::asking::Entry;
use super::client::{Call, Pending, Response};
use super::server::Server;
use super::wait::until;

/// A tenant of a running server.
#[derive(Clone, Copy)]
pub(crate) struct Tenant<'a> {
    server: &'a Server,
    key: Option<&'a str>,
    name: Option<&'a str>,
}

impl Server {
    /// What is asked in that tenant's name.
    pub(crate) fn tenant<'a>(&'a self, name: &'a str) -> Tenant<'a> {
        Tenant { server: self, key: None, name: Some(name) }
    }

    /// What is asked with that key.
    pub(crate) fn holder<'a>(&'a self, key: &'a str) -> Tenant<'a> {
        Tenant { server: self, key: Some(key), name: None }
    }
}

impl<'a> Tenant<'a> {
    /// The same key in the name of a tenant.
    pub(crate) fn naming(self, name: &'a str) -> Tenant<'a> {
        Tenant { name: Some(name), ..self }
    }

    /// A request in its name that is being put together.
    pub(crate) fn call(&self, method: &str, path: &str) -> Call {
        let call = self.server.call(method, path);
        let call = self.key.into_iter().fold(call, |call, key| call.header("x-api-key", key));
        self.name.into_iter().fold(call, |call, name| call.header("wardian-tenant", name))
    }

    /// Asks for something.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.call("GET", path).send()
    }

    /// Asks a model.
    pub(crate) fn infer(&self, model: &str, body: &Value) -> Response {
        self.call("POST", &format!("/v2/models/{model}/infer")).json(body).send()
    }

    /// Asks a puppet to behave in some way.
    pub(crate) fn behave(&self, model: &str, word: &str) -> Response {
        self.begin_behave(model, word).answer()
    }

    /// Like `behave`, without waiting for the answer.
    pub(crate) fn begin_behave(&self, model: &str, word: &str) -> Pending {
        let body = json!({ "inputs": [], "parameters": { "behave": word } });
        self.call("POST", &format!("/v2/models/{model}/infer")).json(&body).begin()
    }

    /// How much it holds of something, by the name of its quota.
    #[track_caller]
    pub(crate) fn holds(&self, quota: &str) -> u64 {
        self.get("/v2/usage").ok().json()["quota"][quota]["used"].as_u64().unwrap()
    }

    /// Waits until it holds so much of something.
    pub(crate) fn until_holds(&self, quota: &str, amount: u64) {
        until(&format!("that {self} holds {amount} of {quota}"), || self.holds(quota) == amount);
    }

    /// A line of its repository index.
    pub(crate) fn entry(&self, model: &str, version: u64) -> Option<Entry> {
        let index = self.call("POST", "/v2/repository/index").json(&json!({})).send();
        let mut entries = Entry::read_all(&index);
        entries.retain(|entry| entry.name == model && entry.version == version);
        entries.pop()
    }

    /// Waits until a version serves.
    pub(crate) fn until_ready(&self, model: &str, version: u64) {
        self.until_state(model, version, "READY");
    }

    /// Waits until a version is in that state of the index.
    pub(crate) fn until_state(&self, model: &str, version: u64, state: &str) {
        let there = || self.entry(model, version).is_some_and(|entry| entry.state == state);
        until(&format!("that {model} of {self} is {state}"), there);
    }

    /// Waits until a version cannot serve for a reason with these words in it.
    pub(crate) fn until_refused(&self, model: &str, version: u64, words: &str) {
        let refused = |entry: Entry| entry.state == "UNAVAILABLE" && entry.reason.contains(words);
        let what = format!("'{words}' for {model} of {self}");
        until(&what, || self.entry(model, version).is_some_and(refused));
    }
}

impl fmt::Display for Tenant<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name.or(self.key).unwrap_or_default())
    }
}
