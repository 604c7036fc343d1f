//! Requests as a tenant: by the tenant header on a server without keys, else by an API key.

use std::fmt;

use serde_json::{Value, json};

use super::client::{Call, Pending, Response};
use super::requests::Entry;
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
    /// Returns a client that names a tenant by header.
    pub(crate) fn tenant<'a>(&'a self, name: &'a str) -> Tenant<'a> {
        Tenant { server: self, key: None, name: Some(name) }
    }

    /// Returns a client with an API key.
    pub(crate) fn holder<'a>(&'a self, key: &'a str) -> Tenant<'a> {
        Tenant { server: self, key: Some(key), name: None }
    }
}

impl<'a> Tenant<'a> {
    /// Returns the same key with a tenant named by header.
    pub(crate) fn naming(self, name: &'a str) -> Tenant<'a> {
        Tenant { name: Some(name), ..self }
    }

    /// Starts a request builder.
    pub(crate) fn call(&self, method: &str, path: &str) -> Call {
        let call = self.server.call(method, path);
        let call = self.key.into_iter().fold(call, |call, key| call.header("x-api-key", key));
        self.name.into_iter().fold(call, |call, name| call.header("wardian-tenant", name))
    }

    /// Sends a GET request.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.call("GET", path).send()
    }

    /// Sends an inference request.
    pub(crate) fn infer(&self, model: &str, body: &Value) -> Response {
        self.call("POST", &format!("/v2/models/{model}/infer")).json(body).send()
    }

    /// Sends a behaviour word to a scripted model.
    pub(crate) fn behave(&self, model: &str, word: &str) -> Response {
        self.begin_behave(model, word).answer()
    }

    /// Like `behave`, without waiting for the response.
    pub(crate) fn begin_behave(&self, model: &str, word: &str) -> Pending {
        let body = json!({ "inputs": [], "parameters": { "behave": word } });
        self.call("POST", &format!("/v2/models/{model}/infer")).json(&body).begin()
    }

    /// Returns the amount held of a quota, by the name of the quota.
    #[track_caller]
    pub(crate) fn holds(&self, quota: &str) -> u64 {
        self.get("/v2/usage").ok().json()["quota"][quota]["used"].as_u64().unwrap()
    }

    /// Waits until this amount of a quota is held.
    pub(crate) fn until_holds(&self, quota: &str, amount: u64) {
        until(&format!("that {self} holds {amount} of {quota}"), || self.holds(quota) == amount);
    }

    /// Returns a line of the tenant's repository index.
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

    /// Waits until a version is in a state of the index.
    pub(crate) fn until_state(&self, model: &str, version: u64, state: &str) {
        let there = || self.entry(model, version).is_some_and(|entry| entry.state == state);
        until(&format!("that {model} of {self} is {state}"), there);
    }

    /// Waits until a version cannot serve for a reason that contains `words`.
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
