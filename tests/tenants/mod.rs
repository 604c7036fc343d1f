//! Several tenants: permissions, visibility, and changes while others are served.
//!
//! The response time does not reveal either whether another tenant has a model of some name. This
//! is not measured here, because it follows from the lookup: the registry has a map of models for
//! each tenant, and a name is looked up in the caller's own map only. The lookup is the same
//! whether the name is unknown or another tenant's.

mod admin_quota;
mod artifacts;
mod egress;
mod faulty_files;
mod flood;
mod key_bypass;
mod last_key;
mod listening;
mod loading;
mod lockout;
mod matrix;
mod quotas;
mod readiness;
mod reload;
mod repository_roots;
mod separation;
mod slots;
mod visibility;

use wardian::model::Digest;

pub(crate) use matrix::path;

use crate::harness::{Models, Server, Setup, Tenant, scripted, until};

/// The host's own key.
pub(crate) const HOST: &str = "host-key";

/// Settings that read the configuration often, for a short test.
const EAGER: &str = "poll_interval = '20ms'\nsettle = '20ms'\n";

/// A server, not yet started, with the tenant `default`, without models and keys, and the tenants
/// that [`write`] adds.
fn setup(settings: &str) -> Setup {
    Server::with_models(|_| {})
        .config(&format!("{settings}keys = [{}]\n[tenants.default]\n", key(HOST, &["admin"])))
}

/// Returns the entry of a key whose id is its own text.
pub(crate) fn key(text: &str, scopes: &[&str]) -> String {
    format!(
        "{{ id = '{text}', sha256 = '{}', scopes = {scopes:?} }}",
        Digest::sha256(text.as_bytes())
    )
}

/// Returns a tenant's file with one key of scopes `infer` and `manage`.
fn tenant(repository: &str, key_text: &str, more: &str) -> String {
    let key = key(key_text, &["infer", "manage"]);
    format!("repository = '{repository}'\nkeys = [{key}]\n{more}")
}

/// Writes a tenant's file.
fn write(folder: &Models, name: &str, content: &str) {
    folder.put(&format!("{name}.toml"), content);
}

/// Writes a scripted model whose calls may take long.
fn add_scripted(models: &Models, name: &str, version: u64) {
    models.settings(name, "[limits]\ndeadline = '10m'\n[breaker]\nfaults = 0");
    models.version(name, 1, scripted(&format!("version={version}")));
}

/// Waits until a key is accepted.
fn until_known(holder: &Tenant<'_>) {
    until(&format!("that {holder} is known"), || holder.get("/v2/usage").status == 200);
}

/// Waits until a key is refused.
fn until_unknown(holder: &Tenant<'_>) {
    until(&format!("that {holder} is known no more"), || holder.get("/v2/usage").status == 401);
}
