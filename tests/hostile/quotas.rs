//! Tenants that exceed their quotas: each refusal names the quota, and a quota that is given back
//! can be used again.

use serde_json::json;

use crate::harness::{Models, Response, Server, Tenant, scripted, until};

/// Settings of a scripted model that may take long and may fail without limit.
const PATIENT: &str =
    "[limits]\nmemory = '48MiB'\nrequest = '1kB'\ndeadline = '10m'\n[breaker]\nfaults = 0\n";

/// Starts a server where each tenant is short of one resource.
fn server() -> Server {
    let tenants = [
        ("concurrent", "concurrency = 2"),
        ("queuing", "queue = 1"),
        ("hasty", "requests_per_second = 3"),
        ("greedy", "memory = '80MiB'"),
        ("crowded", "instances = 1"),
        ("many", "models = 1"),
        // Two components and their one artifact.
        ("full", "storage = '800kB'"),
    ];
    let table = |(name, quota)| {
        format!("[tenants.{name}]\nrepository = '{name}'\n[tenants.{name}.quota]\n{quota}\n")
    };
    let setup = Server::with_models(|_| {})
        .config(&format!("{}[tenants.default]", tenants.map(table).concat()));
    for (name, _) in tenants {
        add(&setup.repository(name), "scripted", "");
    }
    add(&setup.repository("queuing"), "scripted", "[instances]\nmax = 1\n");
    add(&setup.repository("crowded"), "another", "");
    let server = setup.start();
    server.until_tried();
    server
}

fn add(models: &Models, name: &str, settings: &str) {
    models.settings(name, &format!("{settings}{PATIENT}"));
    models.version(name, 1, scripted("version=1"));
}

/// Asserts a refusal for a quota, with a `Retry-After` header.
#[track_caller]
fn refused(response: &Response, quota: &str) {
    response.refused(429, "quota_exceeded");
    assert_eq!(response.json()["quota"], quota, "{response}");
    assert_eq!(response.header("retry-after"), Some("1"), "{response}");
}

#[track_caller]
fn holds_nothing(tenant: &Tenant<'_>) {
    ["concurrency", "queue", "memory", "instances"]
        .iter()
        .for_each(|quota| tenant.until_holds(quota, 0));
    tenant.behave("scripted", "ok").ok();
}

#[test]
fn each_quota_is_enforced() {
    let server = server();
    more_requests_than_may_be_under_way(&server.tenant("concurrent"));
    more_requests_than_may_wait(&server.tenant("queuing"));
    more_requests_than_a_second_allows(&server.tenant("hasty"));
    more_memory_than_there_is(&server.tenant("greedy"));
    more_instances_than_there_are(&server.tenant("crowded"));
    more_models_than_there_may_be(&server);
    more_bytes_than_may_be_stored(&server);
    assert_eq!(server.get("/v2/tenants").ok().json()["faults"], json!([]));
}

fn more_requests_than_may_be_under_way(tenant: &Tenant<'_>) {
    let endless: Vec<_> = (0..2).map(|_| tenant.begin_behave("scripted", "sleep:600000")).collect();
    tenant.until_holds("concurrency", 2);
    (0..20).for_each(|_| refused(&tenant.behave("scripted", "ok"), "concurrency"));
    endless.into_iter().for_each(|pending| pending.hang_up());
    holds_nothing(tenant);
    let flood: Vec<_> = (0..100).map(|_| tenant.begin_behave("scripted", "slow:1")).collect();
    let answers = flood.into_iter().map(|pending| pending.answer());
    answers
        .filter(|answer| answer.status != 200)
        .for_each(|answer| refused(&answer, "concurrency"));
    holds_nothing(tenant);
}

fn more_requests_than_may_wait(tenant: &Tenant<'_>) {
    let endless = tenant.begin_behave("scripted", "sleep:600000");
    tenant.until_holds("instances", 1);
    let waiting = tenant.begin_behave("scripted", "ok");
    tenant.until_holds("queue", 1);
    (0..20).for_each(|_| refused(&tenant.behave("scripted", "ok"), "queue"));
    endless.hang_up();
    waiting.answer().ok();
    holds_nothing(tenant);
}

fn more_requests_than_a_second_allows(tenant: &Tenant<'_>) {
    let answers: Vec<_> = (0..100).map(|_| tenant.behave("scripted", "ok")).collect();
    let refusals = answers.iter().filter(|answer| answer.status != 200);
    assert!(refusals.clone().count() > 50, "{} refusals", refusals.count());
    refusals.for_each(|refusal| refused(refusal, "requests_per_second"));
    until("the next second", || tenant.behave("scripted", "ok").status == 200);
}

fn more_memory_than_there_is(tenant: &Tenant<'_>) {
    let holding: Vec<_> = (0..2).map(|_| tenant.begin_behave("scripted", "hold:32")).collect();
    until("that they hold it", || tenant.holds("memory") > 64 << 20);
    refused(&tenant.behave("scripted", "touch:32"), "memory");
    // The model's own limit is a different error.
    tenant.behave("scripted", "touch:60").refused(500, "model_out_of_memory");
    holding.into_iter().for_each(|pending| pending.hang_up());
    holds_nothing(tenant);
    tenant.behave("scripted", "touch:32").ok();
}

fn more_instances_than_there_are(tenant: &Tenant<'_>) {
    let endless = tenant.begin_behave("scripted", "sleep:600000");
    tenant.until_holds("instances", 1);
    // The other model may wait for the one instance until its caller's deadline.
    let ask = |milliseconds| {
        let call = tenant
            .call("POST", "/v2/models/another/infer")
            .header("wardian-deadline-ms", milliseconds);
        call.json(&json!({ "inputs": [] })).begin()
    };
    ask("50").answer().refused(504, "deadline_exceeded");
    let waiting = ask("600000");
    tenant.until_holds("queue", 1);
    endless.hang_up();
    waiting.answer().ok();
    holds_nothing(tenant);
}

fn more_models_than_there_may_be(server: &Server) {
    let (tenant, models) = (server.tenant("many"), server.repository("many"));
    add(&models, "surplus", "");
    tenant.until_refused("surplus", 1, "quota: this tenant's quota of 1 for models is used up");
    tenant.behave("surplus", "ok").refused(503, "model_not_ready");
    models.remove("scripted");
    tenant.until_ready("surplus", 1);
    assert_eq!(tenant.holds("models"), 1);
}

fn more_bytes_than_may_be_stored(server: &Server) {
    let (tenant, models) = (server.tenant("full"), server.repository("full"));
    add(&models, "second", "");
    tenant.until_ready("second", 1);
    add(&models, "third", "");
    tenant.until_refused("third", 1, "quota: this tenant's quota of 800000 for storage is used up");
    tenant.behave("second", "ok").ok();
    models.remove("second");
    tenant.until_ready("third", 1);
    tenant.behave("scripted", "ok").ok();
}
