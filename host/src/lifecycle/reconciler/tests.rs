//! The reconcile loop with a fake loader, in paused time: a wait ends when every task is idle, and
//! a delay passes at once.

use std::time::Duration;

use prometheus_client::registry::Registry as MetricsRegistry;
use tokio::time::Instant;

use super::super::fake_loader::{FakeLoad, FakeLoader, FakeVersionControl};
use super::super::fake_pruner::{FakePrune, FakePruner};
use super::super::index_entry::IndexState;
use super::super::metrics::LifecycleMetrics;
use super::*;
use crate::files::ConfinedFile;
use crate::model::{LoadError, ModelSettings, Retention, Stage, Version, VersionPolicy};
use crate::repository::{Candidate, Digest, Observed, parse_model_toml};
use crate::tenant::Tenant;

/// Longer than any delay of a retry.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The number of the source of all announcements.
const SOURCE: u64 = 1;

/// A reconcile loop, seen from outside.
struct Harness {
    events: mpsc::Sender<Event>,
    phase: watch::Sender<Phase>,
    readiness: Arc<Readiness>,
    loads: mpsc::UnboundedReceiver<FakeLoad>,
    prunes: mpsc::UnboundedReceiver<FakePrune>,
    task: tokio::task::JoinHandle<()>,
}

impl Harness {
    fn start() -> Self {
        let name = TenantName::default_tenant();
        let tenant = Tenant::unlimited(name.clone());
        let metrics = LifecycleMetrics::register(&mut MetricsRegistry::default());
        let readiness = Arc::new(Readiness::new(Arc::default(), [name.clone()].into_iter()));
        let (loader, loads) = FakeLoader::new();
        let (pruner, prunes) = FakePruner::new();
        let (events, inbox) = mpsc::channel(16);
        let phase = watch::Sender::new(Phase::Running);

        let reconciler = Reconciler::new(ReconcilerParts {
            registry: Registry::default(),
            loader,
            pruner: Some(pruner),
            readiness: readiness.clone(),
            events: events.downgrade(),
            record: TenantRecord::new(tenant, SOURCE, metrics.for_tenant(&name)),
            degraded: Arc::default(),
        });
        let task = tokio::spawn(reconciler.run(inbox, phase.subscribe()));
        Harness { events, phase, readiness, loads, prunes, task }
    }

    async fn send(&self, event: Event) {
        assert!(self.events.send(event).await.is_ok(), "the reconcile loop has ended");
    }

    /// Announces the content of the repository, one version a text: `iris 1 a` for a candidate with
    /// the content `a`, `iris 1 changing`, or `iris 1 bad`.
    async fn announce(&self, versions: &[&str]) {
        self.send(Event::Aspired(aspired(versions))).await;
    }

    /// Returns the next load, which must be of this version and content.
    async fn load(&mut self, expected: &str) -> FakeLoad {
        let load = tokio::time::timeout(DAY, self.loads.recv()).await.unwrap().unwrap();
        assert_eq!(load.candidate, candidate(expected));
        load
    }

    /// Announces these versions, and lets the load of the last one succeed.
    async fn serve(&mut self, versions: &[&str]) -> FakeVersionControl {
        self.announce(versions).await;
        let version = self.load(versions.last().unwrap()).await.succeed();
        self.settle().await;
        version
    }

    /// Waits until every task is idle.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Passes a day in which no load may start.
    async fn assert_no_load(&mut self) {
        tokio::time::sleep(DAY).await;
        assert!(self.loads.try_recv().is_err(), "no load is wanted");
    }

    /// The repository index once every task is idle, one version a text.
    async fn index(&self) -> Vec<String> {
        self.settle().await;
        let (reply, index) = oneshot::channel();
        self.send(Event::Index { reply }).await;
        index.await.unwrap().iter().map(show).collect()
    }
}

fn show(entry: &IndexEntry) -> String {
    let version = entry.version.map(|version| format!(" {version}")).unwrap_or_default();
    let state = match entry.state {
        IndexState::Ready => "ready",
        IndexState::Loading => "loading",
        IndexState::Unloading => "unloading",
        IndexState::Unavailable => "unavailable",
    };
    let reason = if entry.reason.is_empty() { "" } else { &format!(": {}", entry.reason) };
    format!("{}{version} {state}{reason}", entry.name)
}

fn aspired(versions: &[&str]) -> Arc<AspiredVersions> {
    let mut aspired = AspiredVersions::empty(TenantName::default_tenant());
    aspired.source = SOURCE;
    aspired.first_settled = true;
    aspired.observed = versions.iter().map(|text| observed(text)).collect();
    Arc::new(aspired)
}

fn observed(text: &str) -> Observed {
    let (name, version, content) = parse(text);
    match content {
        "changing" => Observed::Unsettled { name, version: Some(version) },
        "bad" => Observed::Faulty { name, version: Some(version), reason: "bad".into() },
        _ => Observed::Candidate(candidate(text)),
    }
}

fn candidate(text: &str) -> Candidate {
    let (name, version, content) = parse(text);
    Candidate {
        name,
        version,
        component: ConfinedFile::from_path("/model.wasm".as_ref()).unwrap().into(),
        component_digest: Digest::sha256(content.as_bytes()),
        component_size: 1,
        changed_at: (0, 0),
        sidecars: Vec::new(),
        golden: None,
        settings: settings(content).into(),
        live: Default::default(),
        digest: Digest::sha256(content.as_bytes()),
    }
}

/// The settings of a content: one that begins with a slash is the path of a route.
fn settings(content: &str) -> ModelSettings {
    let route = format!("[[routes]]\npath = '{content}'");
    if content.starts_with('/') {
        parse_model_toml(&route).unwrap()
    } else {
        ModelSettings::default()
    }
}

fn parse(text: &str) -> (ModelName, Version, &str) {
    let mut words = text.split(' ');
    let name = words.next().and_then(|name| ModelName::parse(name).ok()).unwrap();
    let version = words.next().and_then(Version::parse).unwrap();
    (name, version, words.next().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_added_loads_and_serves() {
    let mut host = Harness::start();
    host.announce(&["iris 1 a"]).await;
    assert_eq!(host.index().await, ["iris 1 loading"]);

    let _version = host.load("iris 1 a").await.succeed();
    assert_eq!(host.index().await, ["iris 1 ready"]);
    host.assert_no_load().await;
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_changing_is_not_loaded() {
    let mut host = Harness::start();
    host.announce(&["iris 1 changing"]).await;
    host.assert_no_load().await;
    assert_eq!(host.index().await, ["iris 1 unavailable: its files are still changing"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_load_keeps_the_older_version() {
    let mut host = Harness::start();
    let _first = host.serve(&["iris 1 a"]).await;
    host.announce(&["iris 1 a", "iris 2 b"]).await;
    host.load("iris 2 b").await.fail(Stage::Golden);
    host.assert_no_load().await;
    assert_eq!(
        host.index().await,
        ["iris 2 unavailable: golden: as the test wants", "iris 1 ready"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_newer_version_takes_the_place_of_the_older_one() {
    let mut host = Harness::start();
    let first = host.serve(&["iris 1 a"]).await;
    let _second = host.serve(&["iris 1 a", "iris 2 b"]).await;
    assert_eq!(host.index().await, ["iris 2 ready", "iris 1 unloading"]);

    drop(first);
    assert_eq!(
        host.index().await,
        ["iris 2 ready", "iris 1 unavailable: not wanted by the version policy"]
    );
}

#[tokio::test(start_paused = true)]
async fn content_replaced_in_place_serves_until_the_new_one_does() {
    let mut host = Harness::start();
    let _old = host.serve(&["iris 1 a"]).await;
    host.announce(&["iris 1 b"]).await;
    assert_eq!(host.index().await, ["iris 1 ready"]);

    let new = host.load("iris 1 b").await.succeed();
    assert_eq!(host.index().await, ["iris 1 ready"]);

    // The old content still drains when the new one is removed.
    host.announce(&[]).await;
    drop(new);
    assert_eq!(host.index().await, ["iris 1 unloading"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_replacement_keeps_the_old_content() {
    let mut host = Harness::start();
    let _old = host.serve(&["iris 1 a"]).await;
    host.announce(&["iris 1 b"]).await;
    host.load("iris 1 b").await.fail(Stage::Load);
    let reason = "serves its last good content; the present one failed: load: as the test wants";
    assert_eq!(host.index().await, [format!("iris 1 ready: {reason}")]);
}

#[tokio::test(start_paused = true)]
async fn a_removed_version_drains_and_is_forgotten() {
    let mut host = Harness::start();
    let version = host.serve(&["iris 1 a"]).await;
    host.announce(&[]).await;
    assert_eq!(host.index().await, ["iris 1 unloading"]);

    drop(version);
    assert_eq!(host.index().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_removed_while_it_loads_is_never_published() {
    let mut host = Harness::start();
    host.announce(&["iris 1 a"]).await;
    let load = host.load("iris 1 a").await;
    host.announce(&[]).await;
    let _version = load.succeed();
    assert_eq!(host.index().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_newest_version_wins_while_an_older_one_loads() {
    let mut host = Harness::start();
    host.announce(&["iris 1 a"]).await;
    let older = host.load("iris 1 a").await;
    let _newest = host.serve(&["iris 1 a", "iris 2 b"]).await;
    assert_eq!(host.index().await, ["iris 2 ready", "iris 1 loading"]);

    let _older = older.succeed();
    assert_eq!(
        host.index().await,
        ["iris 2 ready", "iris 1 unavailable: not wanted by the version policy"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_older_version_serves_until_the_newest_has_loaded() {
    let mut host = Harness::start();
    host.announce(&["iris 1 a"]).await;
    let older = host.load("iris 1 a").await;
    host.announce(&["iris 1 a", "iris 2 b"]).await;
    let newest = host.load("iris 2 b").await;
    let older = older.succeed();
    assert_eq!(host.index().await, ["iris 2 loading", "iris 1 ready"]);

    let _newest = newest.succeed();
    drop(older);
    assert_eq!(
        host.index().await,
        ["iris 2 ready", "iris 1 unavailable: not wanted by the version policy"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_host_is_retried_with_backoff() {
    let mut host = Harness::start();
    host.announce(&["iris 1 a"]).await;
    let mut last = Instant::now();
    for delay in [0, 5, 10, 20, 40, 80, 160, 300, 300] {
        let load = host.load("iris 1 a").await;
        assert_eq!(last.elapsed().as_secs(), delay);
        last = Instant::now();
        load.fail(Stage::Host);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_succeeds_serves() {
    let mut host = Harness::start();
    host.announce(&["iris 1 a"]).await;
    host.load("iris 1 a").await.fail(Stage::Host);
    assert_eq!(host.index().await, ["iris 1 unavailable: host: as the test wants"]);

    let _version = host.load("iris 1 a").await.succeed();
    assert_eq!(host.index().await, ["iris 1 ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_fails_validation_is_not_retried_until_it_is_asked_for() {
    let mut host = Harness::start();
    host.announce(&["iris 1 a"]).await;
    host.load("iris 1 a").await.fail(Stage::WarmUp);
    host.assert_no_load().await;

    let (reply, answer) = oneshot::channel();
    let name = ModelName::new("iris").unwrap();
    host.send(Event::Load { name, aspired: aspired(&["iris 1 a"]), reply }).await;
    host.load("iris 1 a").await.fail(Stage::WarmUp);
    let fault = LoadError::new(Stage::WarmUp, "as the test wants");
    assert_eq!(answer.await, Ok(Err(CommandError::Failed(fault))));
    host.assert_no_load().await;

    // New content needs no request.
    let _version = host.serve(&["iris 1 b"]).await;
    assert_eq!(host.index().await, ["iris 1 ready"]);
}

#[tokio::test(start_paused = true)]
async fn models_wait_for_interceptors() {
    let mut host = Harness::start();
    host.announce(&["interceptors/gate 1 a", "iris 1 b"]).await;
    let interceptor = host.load("interceptors/gate 1 a").await;
    let waits = "the interceptor 'gate' does not serve: it is loading";
    assert_eq!(
        host.index().await,
        ["interceptors/gate 1 loading".into(), format!("iris 1 unavailable: {waits}")]
    );

    let _interceptor = interceptor.succeed();
    let _model = host.load("iris 1 b").await.succeed();
    assert_eq!(host.index().await, ["interceptors/gate 1 ready", "iris 1 ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_model_is_not_loaded_while_an_interceptor_has_failed() {
    let mut host = Harness::start();
    host.announce(&["interceptors/gate 1 a", "iris 1 b"]).await;
    host.load("interceptors/gate 1 a").await.fail(Stage::Load);
    host.assert_no_load().await;

    let _model = host.serve(&["iris 1 b"]).await;
    assert_eq!(host.index().await, ["iris 1 ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_keeps_failing_is_replaced_by_the_one_before() {
    let mut host = Harness::start();
    let failing = host.serve(&["iris 1 a", "iris 2 b"]).await;
    failing.trip();
    let _older = host.load("iris 1 a").await.succeed();
    drop(failing);
    let reason = "serve: it kept failing; load it to try again, or replace it";
    assert_eq!(
        host.index().await,
        [format!("iris 2 unavailable: {reason}"), "iris 1 ready".into()]
    );
}

#[tokio::test(start_paused = true)]
async fn an_unloaded_model_is_loaded_again_only_on_request() {
    let mut host = Harness::start();
    let version = host.serve(&["iris 1 a"]).await;
    let (reply, answer) = oneshot::channel();
    host.send(Event::Unload { name: ModelName::new("iris").unwrap(), reply }).await;
    assert_eq!(answer.await, Ok(Ok(())));
    drop(version);
    host.assert_no_load().await;
    assert_eq!(host.index().await, ["iris 1 unavailable: unloaded on request"]);

    let (reply, answer) = oneshot::channel();
    let name = ModelName::new("iris").unwrap();
    host.send(Event::Load { name, aspired: aspired(&["iris 1 a"]), reply }).await;
    let _version = host.load("iris 1 a").await.succeed();
    assert_eq!(answer.await, Ok(Ok(())));
}

#[tokio::test(start_paused = true)]
async fn slow_loads_delay_readiness_until_its_deadline() {
    let mut host = Harness::start();
    host.readiness.clone().expire_after(Duration::from_secs(120));
    host.announce(&["iris 1 a"]).await;
    let load = host.load("iris 1 a").await;
    tokio::time::sleep(Duration::from_secs(119)).await;
    assert!(!host.readiness.is_ready());

    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(host.readiness.is_ready());

    let _version = load.succeed();
    assert_eq!(host.index().await, ["iris 1 ready"]);
}

#[tokio::test(start_paused = true)]
async fn the_server_is_ready_once_every_version_was_tried() {
    let mut host = Harness::start();
    host.announce(&["iris 1 a"]).await;
    host.index().await;
    assert!(!host.readiness.is_ready());

    host.load("iris 1 a").await.fail(Stage::Load);
    host.index().await;
    assert!(host.readiness.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_load_that_ends_after_the_freeze_is_dropped() {
    let mut host = Harness::start();
    let _serving = host.serve(&["iris 1 a"]).await;
    host.announce(&["iris 1 b"]).await;
    let load = host.load("iris 1 b").await;
    host.phase.send_replace(Phase::Frozen);
    let _version = load.succeed();
    assert_eq!(host.index().await, ["iris 1 ready"]);
    host.assert_no_load().await;
}

#[tokio::test(start_paused = true)]
async fn everything_drains_when_the_server_stops() {
    let mut host = Harness::start();
    let version = host.serve(&["iris 1 a"]).await;
    host.phase.send_replace(Phase::Stopping);
    assert_eq!(host.index().await, ["iris 1 unloading"]);

    drop(version);
    host.task.await.unwrap();
}

// === Pruning ===

/// The content of the repository, with settings that keep `retention`.
fn kept(retention: Retention, versions: &[&str]) -> Arc<AspiredVersions> {
    with_settings(versions, ModelSettings { prune: Some(retention), ..ModelSettings::default() })
}

fn with_settings(versions: &[&str], settings: ModelSettings) -> Arc<AspiredVersions> {
    let settings = Arc::new(settings);
    let mut aspired = AspiredVersions::clone(&aspired(versions));
    for observed in &mut aspired.observed {
        if let Observed::Candidate(candidate) = observed {
            candidate.settings = settings.clone();
        }
    }
    Arc::new(aspired)
}

impl Harness {
    /// Announces these versions, and lets the load of the last one succeed.
    async fn serve_kept(&mut self, retention: Retention, versions: &[&str]) -> FakeVersionControl {
        self.send(Event::Aspired(kept(retention, versions))).await;
        let load = tokio::time::timeout(DAY, self.loads.recv()).await.unwrap().unwrap();
        let version = load.succeed();
        self.settle().await;
        version
    }

    /// Returns the next load, which must be of this version.
    async fn load_of(&mut self, version: u64) -> FakeLoad {
        let load = tokio::time::timeout(DAY, self.loads.recv()).await.unwrap().unwrap();
        assert_eq!(load.candidate.version.number(), version);
        load
    }

    /// Returns the next deletion, which must be of these versions.
    async fn prune(&mut self, expected: &[u64]) -> FakePrune {
        let prune = tokio::time::timeout(DAY, self.prunes.recv()).await.unwrap().unwrap();
        let versions: Vec<_> = prune.versions.iter().map(|version| version.number()).collect();
        assert_eq!(versions, expected);
        prune
    }

    /// Passes a day in which nothing may be deleted.
    async fn assert_no_prune(&mut self) {
        tokio::time::sleep(DAY).await;
        assert!(self.prunes.try_recv().is_err(), "nothing is to be deleted");
    }
}

const TWO: Retention = Retention::Newest(2);

#[tokio::test(start_paused = true)]
async fn old_versions_are_deleted_once_the_newest_serves() {
    let mut harness = Harness::start();
    harness.send(Event::Aspired(kept(TWO, &["iris 1 a", "iris 2 b", "iris 3 c"]))).await;
    let load = harness.load_of(3).await;
    harness.assert_no_prune().await;

    let _third = load.succeed();
    let prune = harness.prune(&[1]).await;
    prune.succeed(kept(TWO, &["iris 2 b", "iris 3 c"]));
    harness.assert_no_prune().await;
    let unwanted = "iris 2 unavailable: not wanted by the version policy";
    assert_eq!(harness.index().await, ["iris 3 ready", unwanted]);
}

#[tokio::test(start_paused = true)]
async fn a_version_in_use_is_deleted_once_it_has_drained() {
    let mut harness = Harness::start();
    let one = Retention::Newest(1);
    let first = harness.serve_kept(one, &["iris 1 a"]).await;
    let _second = harness.serve_kept(one, &["iris 1 a", "iris 2 b"]).await;
    harness.assert_no_prune().await;
    assert_eq!(harness.index().await, ["iris 2 ready", "iris 1 unloading"]);

    drop(first);
    harness.prune(&[1]).await.succeed(kept(one, &["iris 2 b"]));
    assert_eq!(harness.index().await, ["iris 2 ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_deletion_is_shown_and_tried_again_with_backoff() {
    let mut harness = Harness::start();
    let all = ["iris 1 a", "iris 2 b", "iris 3 c"];
    let _third = harness.serve_kept(TWO, &all).await;
    harness.prune(&[1]).await.fail("read-only", kept(TWO, &all));

    let mut tries = Instant::now();
    for delay in [5, 10, 20, 40] {
        let shown =
            "iris 1 unavailable: not wanted by the version policy; it cannot be pruned: read-only";
        assert_eq!(harness.index().await[2], shown);
        let prune = harness.prune(&[1]).await;
        assert_eq!(tries.elapsed().as_secs(), delay);
        tries = Instant::now();
        prune.fail("read-only", kept(TWO, &all));
        harness.settle().await;
    }

    // A new version is loaded meanwhile, and the next try deletes what is old by then.
    let _fourth = harness.serve_kept(TWO, &["iris 1 a", "iris 2 b", "iris 3 c", "iris 4 d"]).await;
    assert_eq!(harness.index().await[0], "iris 4 ready");
    harness.prune(&[1, 2]).await.succeed(kept(TWO, &["iris 3 c", "iris 4 d"]));
    assert_eq!(harness.index().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn failed_versions_do_not_push_out_good_ones() {
    let mut harness = Harness::start();
    let _second = harness.serve_kept(TWO, &["iris 1 a", "iris 2 b"]).await;
    let all = ["iris 1 a", "iris 2 b", "iris 3 c", "iris 4 d", "iris 5 bad"];
    harness.send(Event::Aspired(kept(TWO, &all))).await;
    harness.load_of(4).await.fail(Stage::Golden);
    harness.load_of(3).await.fail(Stage::Load);
    harness.assert_no_prune().await;
}

#[tokio::test(start_paused = true)]
async fn a_named_version_is_not_deleted() {
    let mut harness = Harness::start();
    let versions = VersionPolicy::Only([1, 4].map(|number| Version::new(number).unwrap()).to_vec());
    let settings = ModelSettings { versions, prune: Some(TWO), ..ModelSettings::default() };
    let all = ["iris 1 a", "iris 2 b", "iris 3 c", "iris 4 d", "iris 5 e"];
    harness.send(Event::Aspired(with_settings(&all, settings))).await;
    let _fourth = harness.load_of(4).await.succeed();
    harness.prune(&[2]).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_of_an_unloaded_model() {
    let mut harness = Harness::start();
    let _first = harness.serve_kept(TWO, &["iris 1 a"]).await;
    let (reply, unloaded) = oneshot::channel();
    let name = ModelName::new("iris").unwrap();
    harness.send(Event::Unload { name, reply }).await;
    unloaded.await.unwrap().unwrap();
    harness
        .send(Event::Aspired(kept(TWO, &["iris 1 a", "iris 2 b", "iris 3 c", "iris 4 d"])))
        .await;
    harness.assert_no_prune().await;
}

#[tokio::test(start_paused = true)]
async fn replaced_versions_are_deleted_after_a_time() {
    let mut harness = Harness::start();
    // All of these were put there in 1970, and the last one just now.
    let hour = Retention::Replaced(Duration::from_secs(3600));
    let mut aspired = AspiredVersions::clone(&kept(hour, &["iris 1 a", "iris 2 b", "iris 3 c"]));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    if let Some(Observed::Candidate(third)) = aspired.observed.last_mut() {
        third.changed_at = (now.as_secs() as i64, 0);
    }
    harness.send(Event::Aspired(Arc::new(aspired))).await;
    let _third = harness.load_of(3).await.succeed();
    harness.prune(&[1]).await;
}

#[tokio::test(start_paused = true)]
async fn a_setting_that_is_removed_ends_the_pruning() {
    let mut harness = Harness::start();
    let all = ["iris 1 a", "iris 2 b", "iris 3 c"];
    let _third = harness.serve_kept(TWO, &all).await;
    harness.prune(&[1]).await.fail("read-only", kept(TWO, &all));
    harness.settle().await;
    harness.send(Event::Aspired(aspired(&all))).await;
    harness.assert_no_prune().await;
    assert_eq!(harness.index().await[2], "iris 1 unavailable: not wanted by the version policy");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_comes_back_is_deleted_again_with_backoff() {
    let mut harness = Harness::start();
    let all = ["iris 1 a", "iris 2 b", "iris 3 c"];
    let _third = harness.serve_kept(TWO, &all).await;
    harness.prune(&[1]).await.succeed(kept(TWO, &all));
    for delay in [0, 5, 10, 20] {
        let before = Instant::now();
        harness.prune(&[1]).await.succeed(kept(TWO, &all));
        assert_eq!(before.elapsed().as_secs(), delay, "it is not deleted all the time");
    }
    harness.prune(&[1]).await.succeed(kept(TWO, &["iris 2 b", "iris 3 c"]));
    harness.assert_no_prune().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_before_the_repository_was_read_completely() {
    let mut harness = Harness::start();
    let all = ["iris 1 a", "iris 2 b", "iris 3 c"];
    let mut incomplete = AspiredVersions::clone(&kept(TWO, &all));
    incomplete.first_settled = false;
    harness.send(Event::Aspired(Arc::new(incomplete))).await;
    let _third = harness.load_of(3).await.succeed();
    harness.assert_no_prune().await;

    // Nothing else has changed by then.
    harness.send(Event::Aspired(kept(TWO, &all))).await;
    harness.prune(&[1]).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_once_the_server_stops() {
    let mut harness = Harness::start();
    let _second = harness.serve_kept(TWO, &["iris 1 a", "iris 2 b"]).await;
    harness.phase.send_replace(Phase::Frozen);
    harness.settle().await;
    harness.send(Event::Aspired(kept(Retention::Newest(1), &["iris 1 a", "iris 2 b"]))).await;
    harness.assert_no_prune().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_models_with_one_route_the_first_gets_it_until_it_changes() {
    let mut host = Harness::start();
    host.announce(&["iris 1 /x", "rent 1 /x"]).await;
    let iris = host.load("iris 1 /x").await;
    let rent = host.load("rent 1 /x").await;

    // Both are validated before either is published.
    let rent = rent.succeed();
    let _iris = iris.succeed();
    let taken =
        "routes: the route GET /x is taken: the model 'rent' has GET /x; change one of them";
    assert_eq!(
        host.index().await,
        [format!("iris 1 unavailable: {taken}"), "rent 1 ready".to_owned()]
    );
    host.assert_no_load().await;

    // The route is given back with the content that had it.
    host.announce(&["iris 1 /x", "rent 1 /y"]).await;
    let _changed = host.load("rent 1 /y").await.succeed();
    let _iris = host.load("iris 1 /x").await.succeed();
    drop(rent);
    assert_eq!(host.index().await, ["iris 1 ready", "rent 1 ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_route_released_before_the_end_of_a_refused_load_is_not_missed() {
    let mut host = Harness::start();
    let _iris = host.serve(&["iris 1 /x"]).await;
    host.announce(&["iris 1 /x", "rent 1 /x"]).await;
    let rent = host.load("rent 1 /x").await;

    // The load asks for its route, and ends once the route is free.
    let Candidate { name, version, digest, settings, .. } = rent.candidate.clone();
    let (reply, answer) = oneshot::channel();
    let routes = settings.routes.clone();
    host.send(Event::Validated { name, version, digest, routes, reply }).await;
    assert!(answer.await.unwrap().unwrap_err().reason.contains("is taken"));
    host.announce(&["rent 1 /x"]).await;
    host.settle().await;
    rent.fail(Stage::Routes);

    let _rent = host.load("rent 1 /x").await.succeed();
    assert_eq!(host.index().await.last().unwrap(), "rent 1 ready");
}

#[tokio::test(start_paused = true)]
async fn a_load_whose_routes_cannot_work_is_not_repeated() {
    let mut host = Harness::start();
    host.announce(&["iris 1 /x"]).await;
    host.load("iris 1 /x").await.fail(Stage::Routes);
    host.assert_no_load().await;
}

#[tokio::test(start_paused = true)]
async fn a_route_of_a_load_that_failed_is_free() {
    let mut host = Harness::start();
    let _iris = host.serve(&["iris 1 /x"]).await;
    host.announce(&["iris 1 /x", "iris 2 /y", "rent 1 /z"]).await;
    host.load("iris 2 /y").await.fail(Stage::Golden);
    let _rent = host.load("rent 1 /z").await.succeed();
    host.announce(&["iris 1 /x", "iris 2 /y", "rent 1 /y"]).await;
    let _changed = host.load("rent 1 /y").await.succeed();
    assert_eq!(
        host.index().await,
        ["iris 2 unavailable: golden: as the test wants", "iris 1 ready", "rent 1 ready"]
    );
}
