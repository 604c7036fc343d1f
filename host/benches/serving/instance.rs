//! Measures calls in a fresh and in a pooled instance without HTTP, by calls of the library in a
//! loop.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::runtime::{Handle, Runtime};
use wardian::config::Config;
use wardian::files::ConfinedFile;
use wardian::lifecycle::EngineLoader;
use wardian::model::{InferRequest, Isolation, ModelName, ModelSettings, TenantName, Version};
use wardian::repository::{Candidate, Digest};
use wardian::servable::ServableHandle;
use wardian::server::{Storage, build_loader};
use wardian::telemetry::Telemetry;
use wardian::tenant::{Tenant, Tenants};

use super::options::Options;
use super::report::{Table, format_number};
use super::{models, native, process};

/// The time of a call, in microseconds.
struct Call {
    whole: f64,
    instance: f64,
    compute: f64,
}

/// One thread and two: resetting an instance's memory may disturb other cores.
const THREADS: [usize; 2] = [1, 2];

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = Runtime::new()?;
    let _within = runtime.enter();
    let config = Config { state: folder.path().join("state"), ..Config::default() };
    let telemetry = Telemetry::default();
    let storage = Storage::build(&config, &config.state, &telemetry)?;
    let program = process::program().into();
    let loader = build_loader(&config, program, &storage, &Tenants::default(), &telemetry)?;
    let case = wardian::api::parse_golden(
        &golden(&models::cases()?)?,
        &wardian::tenant::Pacer::unmetered(),
    )
    .map_err(anyhow::Error::msg)?;
    let request = case.cases.into_iter().next().context("no golden case")?.request;
    let mut table = Table::new(&[
        "call",
        "threads",
        "whole µs",
        "instance µs",
        "compute µs",
        "rest µs (teardown, checks)",
    ]);
    table.row(["native predict".into(), "1".into(), format_number(predict(options)?)]);
    let pooled = runtime.block_on(load(&loader, folder.path(), Isolation::Pooled))?;
    let fresh = runtime.block_on(load(&loader, folder.path(), Isolation::Request))?;
    let kinds = [("pooled", &pooled), ("fresh", &fresh)];
    let mut calls: Vec<_> =
        kinds.iter().flat_map(|kind| THREADS.map(|threads| (*kind, threads, Vec::new()))).collect();

    for _ in 0..options.rounds() {
        for ((_, servable), threads, calls) in &mut calls {
            calls.push(measure(runtime.handle(), servable, &request, *threads, options.calls())?);
        }
    }
    for ((name, _), threads, calls) in &calls {
        // Other processes can only slow a round down, so the quickest round is the truest.
        let Some(call) = calls.iter().min_by(|one, other| one.whole.total_cmp(&other.whole)) else {
            continue;
        };
        let times =
            [call.whole, call.instance, call.compute, call.whole - call.instance - call.compute];
        table.row(
            [name.to_string(), threads.to_string()].into_iter().chain(times.map(format_number)),
        );
    }
    table.print("a call of house-price in process, one row, mean of the quickest round");

    Ok(())
}

/// The time of the model's trees alone.
fn predict(options: &Options) -> Result<f64> {
    let trees = native::trees()?;
    let row = [6480.0, 3.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0];
    let started = Instant::now();
    for _ in 0..options.calls() {
        std::hint::black_box(trees.predict(std::hint::black_box(&row)));
    }
    Ok(microseconds(started.elapsed()) / f64::from(options.calls()))
}

/// The first case as golden requests, the form in which the library reads a request.
fn golden(cases: &[models::Case]) -> Result<Vec<u8>> {
    let case = cases.first().context("no golden case")?;
    let request: serde_json::Value = serde_json::from_slice(&case.request)?;
    let output = serde_json::json!({"name": "price", "shape": [1, 1], "datatype": "FP64", "data": [case.answer]});
    Ok(serde_json::to_vec(
        &serde_json::json!({"cases": [{"request": request, "response": {"outputs": [output]}}]}),
    )?)
}

async fn load(
    loader: &EngineLoader,
    folder: &Path,
    isolation: Isolation,
) -> Result<ServableHandle> {
    let path = folder.join("model.wasm");
    let component = models::component()?;
    std::fs::write(&path, &component)?;
    let digest = Digest::sha256(&component);
    let candidate = Candidate {
        name: ModelName::new("house-price")?,
        version: Version::new(1).context("no version")?,
        component: ConfinedFile::from_path(&path)?.into(),
        component_digest: digest,
        component_size: component.len() as u64,
        changed_at: (0, 0),
        sidecars: Vec::new(),
        golden: None,
        settings: Arc::new(ModelSettings { isolation, ..ModelSettings::default() }),
        live: Default::default(),
        digest,
    };
    let tenant = Tenant::unlimited(TenantName::default_tenant());
    let proved = loader.load_with_progress(&tenant, &candidate, &|_stage| {}).await?;

    Ok(proved.commit().await?.0)
}

/// The mean over all calls of all threads.
fn measure(
    handle: &Handle,
    servable: &ServableHandle,
    request: &InferRequest,
    threads: usize,
    calls: u32,
) -> Result<Call> {
    let results: Vec<Result<Call>> = std::thread::scope(|scope| {
        let start = || scope.spawn(|| handle.block_on(call_often(servable, request, calls)));
        let running: Vec<_> = (0..threads).map(|_| start()).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a panic"))))
            .collect()
    });
    let calls = results.into_iter().collect::<Result<Vec<_>>>()?;
    let mean = |field: fn(&Call) -> f64| calls.iter().map(field).sum::<f64>() / calls.len() as f64;

    Ok(Call {
        whole: mean(|c| c.whole),
        instance: mean(|c| c.instance),
        compute: mean(|c| c.compute),
    })
}

async fn call_often(servable: &ServableHandle, request: &InferRequest, calls: u32) -> Result<Call> {
    let mut instance = Duration::ZERO;
    let mut compute = Duration::ZERO;
    let started = Instant::now();

    for _ in 0..calls {
        let timings = servable
            .infer_uncounted(request.clone(), servable.validation_call(None))
            .await?
            .timings;
        instance += timings.instance;
        compute += timings.compute;
    }
    let each = |time: Duration| microseconds(time) / f64::from(calls);

    Ok(Call { whole: each(started.elapsed()), instance: each(instance), compute: each(compute) })
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
