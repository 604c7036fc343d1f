//! Tenants beside each other: what each may do, what each can see, and how they change while others
//! are served.
//!
//! Whether another tenant has a model of some name does not show in how long an answer takes
//! either. That is not measured here, because it follows from how a model is found: the registry
//! keeps a map of models for each tenant, and a name is looked up in the caller's own. The lookup
//! is the same one whether the name is unknown or another's, and what another has is never looked
//! at.

mod artifacts;
mod egress;
mod faulty;
mod flood;
mod last_key;
mod listening;
mod loading;
mod matrix;
mod paths;
mod quotas;
mod readiness;
mod reload;
mod roots;
mod separation;
mod slots;
mod unseen;

use wardian::model::Digest;

pub(crate) use matrix::path;

use crate::harness::{Models, Server, Setup, Tenant, puppet, until};

/// The host's own key.
pub(crate) const HOST: &str = "host-key";

/// Looks at the configuration often, so that a test need not wait.
const EAGER: &str = "poll_interval = '20ms'\nsettle = '20ms'\n";

/// A server that is going to have the tenant `default`, who has neither models nor keys, and those
/// whom [`write`] adds.
fn setup(settings: &str) -> Setup {
    Server::with_models(|_| {})
        .config(&format!("{settings}keys = [{}]\n[tenants.default]\n", key(HOST, &["admin"])))
}

/// The entry of a key that is called by its own text.
pub(crate) fn key(text: &str, scopes: &[&str]) -> String {
    format!("{{ id = '{text}', sha256 = '{}', scopes = {scopes:?} }}", Digest::of(text.as_bytes()))
}

/// A tenant's file with one key, which may do what a tenant can do.
fn tenant(repository: &str, key_text: &str, more: &str) -> String {
    let key = key(key_text, &["infer", "manage"]);
    format!("repository = '{repository}'\nkeys = [{key}]\n{more}")
}

/// Puts a file of a tenant there.
fn write(folder: &Models, name: &str, content: &str) {
    folder.put(&format!("{name}.toml"), content);
}

/// Puts a puppet there, which may take its time.
fn add_puppet(models: &Models, name: &str, version: u64) {
    models.settings(name, "[limits]\ndeadline = '10m'\n[breaker]\nfaults = 0");
    models.version(name, 1, puppet(&format!("version={version}")));
}

/// Waits until a key is taken.
fn until_known(holder: &Tenant<'_>) {
    until(&format!("that {holder} is known"), || holder.get("/v2/usage").status == 200);
}

/// Waits until a key is no longer taken.
fn until_unknown(holder: &Tenant<'_>) {
    until(&format!("that {holder} is known no more"), || holder.get("/v2/usage").status == 401);
}
