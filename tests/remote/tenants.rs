//! Repositories of several tenants, behind URLs and in directories, and changes from one to the
//! other.

use super::store::Bucket;
use crate::harness::{Models, Server, Tenant, scripted, until};

const EAGER: &str = "poll_interval = '20ms'\nsettle = '20ms'\nrefresh = '1s'\n[tenants.default]\n";

/// Starts a server. Returns the folder with its tenants' files as well.
fn serve(bucket: &Bucket, tenants: &[(&str, &str)]) -> (Server, Models) {
    let setup = bucket.reachable(Server::with_models(|_| {}).config(EAGER));
    let folder = setup.repository("tenants");
    tenants.iter().for_each(|(name, repository)| describe(&folder, name, repository));
    (setup.start(), folder)
}

fn describe(folder: &Models, name: &str, repository: &str) {
    folder.put(&format!("{name}.toml"), format!("repository = '{repository}'"));
}

fn until_says(tenant: &Tenant<'_>, version: i64) {
    until(&format!("that scripted of {tenant} says {version}"), || {
        let response = tenant.behave("scripted", "ok");
        response.status == 200 && response.number("version") == version
    });
}

fn refreshes(server: &Server, tenant: &str) -> Option<f64> {
    server.metric(&format!("wardian_repository_refreshes_total{{tenant=\"{tenant}\"}}"))
}

#[test]
fn tenants_have_separate_mirrors() {
    let Some(bucket) = Bucket::new() else { return };
    bucket.put("a/scripted.wasm", scripted("version=1"));
    bucket.put("b/scripted.wasm", scripted("version=2"));
    let (server, folder) = serve(&bucket, &[("a", &bucket.url("a")), ("b", &bucket.url("b"))]);
    let (a, b) = (server.tenant("a"), server.tenant("b"));
    until_says(&a, 1);
    until_says(&b, 2);
    bucket.put("a/scripted.wasm", scripted("version=3"));
    until_says(&a, 3);
    until_says(&b, 2);
    folder.remove("a.toml");
    until("that a is refreshed no more", || refreshes(&server, "a").is_none());
    until_says(&b, 2);
    assert!(refreshes(&server, "b").is_some());
}

#[test]
fn a_repository_moves_between_directory_and_url() {
    let Some(bucket) = Bucket::new() else { return };
    bucket.put("a/scripted.wasm", scripted("version=1"));
    let (server, folder) = serve(&bucket, &[("a", "here")]);
    let a = server.tenant("a");
    let here = server.repository("here");
    here.bare("scripted", scripted("version=10"));
    until_says(&a, 10);
    bucket.proxy.shut();
    describe(&folder, "a", &bucket.url("a"));
    until("that the repository is found to be out of reach", || {
        a.get("/v2/health/ready").text().contains("cannot be listed")
    });
    until_says(&a, 10);
    bucket.proxy.open();
    until_says(&a, 1);
    describe(&folder, "a", "here");
    until_says(&a, 10);
    here.bare("scripted", scripted("version=11"));
    until_says(&a, 11);
}
