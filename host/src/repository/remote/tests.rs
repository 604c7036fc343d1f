//! Refreshes of a mirror from a store in memory.

use std::fs;
use std::path::Path as FilePath;

use futures_util::StreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::fetch::FetchJob;
use super::listing::list;
use super::location::StoreLocation;
use super::mirror_dir::MirrorDir;
use super::*;
use crate::model::TenantName;
use crate::tenant::{FairScheduler, Quota, RepositoryLocation, TenantSettings, Workers};

struct Mirrored {
    folder: tempfile::TempDir,
    store: Arc<dyn ObjectStore>,
    tenant: Arc<Tenant>,
    metrics: RemoteMetrics,
    refresher: Refresher,
}

fn mirrored(quota: Quota) -> Mirrored {
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemory::new()));
    let settings = TenantSettings {
        quota,
        ..TenantSettings::unlimited(RepositoryLocation::Directory("models".into()))
    };

    let tenant = Tenant::new(TenantName::default_tenant(), settings);
    let metrics = RemoteMetrics::default();
    let refresher = refresher(&tenant, &metrics, folder.path(), store.clone());

    Mirrored { folder, store, tenant, metrics, refresher }
}

fn refresher(
    tenant: &Arc<Tenant>,
    metrics: &RemoteMetrics,
    folder: &FilePath,
    store: Arc<dyn ObjectStore>,
) -> Refresher {
    let url = Url::parse("s3://bucket/models").unwrap();
    let config = RemoteConfig { url, refresh: Duration::ZERO, folder: folder.join("a") };
    let location =
        StoreLocation { store, prefix: Path::from("models"), skipped: Default::default() };
    Refresher::new(tenant.clone(), config, metrics.for_tenant(tenant.name()))
        .with_location(location)
}

impl Mirrored {
    async fn put(&self, path: &str, content: &'static str) {
        self.store
            .put(&Path::parse(format!("models/{path}")).unwrap(), content.into())
            .await
            .unwrap();
    }

    async fn delete(&self, path: &str) {
        self.store.delete(&Path::parse(format!("models/{path}")).unwrap()).await.unwrap();
    }

    async fn refresh(&mut self) -> String {
        self.refresher.refresh(Vec::new()).await.degraded_reason.unwrap_or_default()
    }

    /// Restarts the host.
    fn start_again(&mut self) {
        self.refresher =
            refresher(&self.tenant, &self.metrics, self.folder.path(), self.store.clone());
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path().join("a/mirror").join(path))
            .unwrap_or_else(|_| "nothing".into())
    }
}

#[tokio::test]
async fn a_mirror_becomes_what_the_store_holds() {
    let mut mirrored = mirrored(Quota::unlimited());
    for path in
        ["iris.wasm", "b/model.toml", "b/1/model.wasm", "b/1/w.bin", "b/notes.txt", "deep/1/2/3"]
    {
        mirrored.put(path, "one").await;
    }
    assert_eq!(mirrored.refresh().await, "");
    assert_eq!(
        (mirrored.read("iris.wasm"), mirrored.read("b/1/w.bin")),
        ("one".into(), "one".into())
    );

    assert_eq!(
        (mirrored.read("b/notes.txt"), mirrored.read("deep/1/2/3")),
        ("nothing".into(), "nothing".into())
    );

    mirrored.put("b/1/w.bin", "two").await;
    mirrored.delete("iris.wasm").await;
    assert_eq!(mirrored.refresh().await, "");
    assert_eq!(
        (mirrored.read("iris.wasm"), mirrored.read("b/1/w.bin")),
        ("nothing".into(), "two".into())
    );

    assert_eq!(mirrored.read("b/1/model.wasm"), "one");
}

#[tokio::test]
async fn a_version_is_mirrored_completely_or_not_at_all() {
    let mut mirrored = mirrored(Quota { artifact_size: 5, ..Quota::unlimited() });
    mirrored.put("b/1/model.wasm", "one").await;
    mirrored.put("b/1/w.bin", "one").await;
    mirrored.put("c.wasm", "one").await;
    assert_eq!(mirrored.refresh().await, "");
    mirrored.put("b/1/model.wasm", "two").await;
    mirrored.put("b/1/w.bin", "too large").await;
    mirrored.put("c.wasm", "two").await;
    let told = mirrored.refresh().await;
    assert!(
        told.contains("s3://bucket/models: not everything is mirrored: b/1: w.bin has 9 bytes"),
        "{told}"
    );

    assert_eq!(
        (mirrored.read("b/1/model.wasm"), mirrored.read("c.wasm")),
        ("one".into(), "two".into())
    );

    mirrored.put("b/1/w.bin", "two").await;
    assert_eq!(mirrored.refresh().await, "");

    assert_eq!(
        (mirrored.read("b/1/model.wasm"), mirrored.read("b/1/w.bin")),
        ("two".into(), "two".into())
    );
}

#[tokio::test]
async fn an_old_version_stays_until_its_replacement_is_mirrored() {
    let mut mirrored = mirrored(Quota { artifact_size: 5, ..Quota::unlimited() });
    let models = ["a", "interceptors/a"];

    for model in models {
        mirrored.put(&format!("{model}/model.toml"), "# one").await;
        mirrored.put(&format!("{model}/1/model.wasm"), "one").await;
    }

    assert_eq!(mirrored.refresh().await, "");
    for (file, content, why) in [
        ("w.bin", "two", "no model.wasm or model file in it yet"),
        ("model.wasm", "too large", "model.wasm has 9 bytes"),
    ] {
        for model in models {
            mirrored.delete(&format!("{model}/model.toml")).await;
            mirrored.delete(&format!("{model}/1/model.wasm")).await;
            mirrored.put(&format!("{model}/2/{file}"), content).await;
        }

        // In the second refresh, the kept files were already kept before.
        for _ in 0..2 {
            let told = mirrored.refresh().await;
            for model in models {
                assert!(told.contains(&format!("{model}/2: {why}")), "{told}");
                assert_eq!(mirrored.read(&format!("{model}/1/model.wasm")), "one");
                assert_eq!(mirrored.read(&format!("{model}/model.toml")), "# one");
            }
        }

        mirrored.start_again();
    }

    for model in models {
        mirrored.put(&format!("{model}/2/model.wasm"), "two").await;
    }

    assert_eq!(mirrored.refresh().await, "");
    for model in models {
        assert_eq!(mirrored.read(&format!("{model}/2/model.wasm")), "two");
        assert_eq!(mirrored.read(&format!("{model}/1/model.wasm")), "nothing");
        assert_eq!(mirrored.read(&format!("{model}/model.toml")), "nothing");
        mirrored.delete(&format!("{model}/2/model.wasm")).await;
        mirrored.delete(&format!("{model}/2/w.bin")).await;
    }

    assert_ne!(mirrored.refresh().await, "");
    assert_eq!(mirrored.refresh().await, "");

    assert_eq!(mirrored.read("a/2/model.wasm"), "nothing", "it has no replacement");
}

#[tokio::test]
async fn an_old_version_stays_if_its_replacement_cannot_be_fetched() {
    let mut mirrored = mirrored(Quota::unlimited());
    mirrored.put("a/1/model.wasm", "one").await;
    assert_eq!(mirrored.refresh().await, "");
    mirrored.delete("a/1/model.wasm").await;
    mirrored.put("a/2/model.wasm", "two").await;
    // A folder cannot replace a file.
    let in_its_way = mirrored.folder.path().join("a/mirror/a/2");
    fs::write(&in_its_way, "").unwrap();
    let told = mirrored.refresh().await;
    assert!(told.contains("a/2: the mirror cannot be written"), "{told}");
    assert_eq!(mirrored.read("a/1/model.wasm"), "one");
    fs::remove_file(&in_its_way).unwrap();
    assert_eq!(mirrored.refresh().await, "");

    assert_eq!(
        (mirrored.read("a/1/model.wasm"), mirrored.read("a/2/model.wasm")),
        ("nothing".into(), "two".into())
    );
}

#[tokio::test]
async fn an_object_that_changes_after_the_listing_is_refused() {
    let mirrored = mirrored(Quota::unlimited());
    mirrored.put("b/1/model.wasm", "one").await;
    let location = Arc::new(StoreLocation {
        store: mirrored.store.clone(),
        prefix: Path::from("models"),
        skipped: Default::default(),
    });

    let listing = list(&location).await.unwrap();
    let (unit, files) = listing.files.first_key_value().unwrap();
    let (dir, _) = MirrorDir::open(mirrored.folder.path().join("a")).unwrap();
    let metrics = Arc::new(mirrored.metrics.for_tenant(mirrored.tenant.name()));
    let job = || {
        let (unit, files, location, dir) =
            (unit.clone(), files.clone(), location.clone(), dir.clone());
        FetchJob {
            unit,
            files,
            mirrored: Default::default(),
            location,
            dir,
            metrics: metrics.clone(),
        }
    };

    mirrored.put("b/1/model.wasm", "two").await;
    let (_, outcome) = job().run().await;
    assert_eq!(outcome.unwrap_err(), "model.wasm: it has changed since it was listed");
    mirrored.delete("b/1/model.wasm").await;
    let (_, outcome) = job().run().await;

    assert!(outcome.unwrap_err().contains("model.wasm: "));
}

#[tokio::test]
async fn unchanged_objects_are_not_fetched_again() {
    let mut mirrored = mirrored(Quota::unlimited());
    mirrored.put("iris.wasm", "one").await;
    mirrored.put("b/1/model.wasm", "one").await;
    assert_eq!(mirrored.refresh().await, "");
    let at = mirrored.folder.path().join("a/mirror");
    // A file that is fetched again has the store's content again.
    fs::write(at.join("iris.wasm"), "own").unwrap();
    fs::write(at.join("b/1/model.wasm"), "own").unwrap();
    assert_eq!(mirrored.refresh().await, "");
    mirrored.start_again();
    assert_eq!(mirrored.refresh().await, "");
    assert_eq!(
        (mirrored.read("iris.wasm"), mirrored.read("b/1/model.wasm")),
        ("own".into(), "own".into())
    );

    fs::write(at.join("iris.wasm"), "cut short, or more").unwrap();
    mirrored.start_again();
    assert_eq!(mirrored.refresh().await, "");

    assert_eq!(mirrored.read("iris.wasm"), "one", "the file on disk has changed");
}

#[tokio::test]
async fn an_empty_listing_needs_confirmation() {
    let mut mirrored = mirrored(Quota::unlimited());
    for path in ["a.wasm", "b.wasm", "c.wasm"] {
        mirrored.put(path, "one").await;
    }

    assert_eq!(mirrored.refresh().await, "");
    for path in ["a.wasm", "b.wasm", "c.wasm"] {
        mirrored.delete(path).await;
    }

    let told = mirrored.refresh().await;
    assert!(told.contains("3 of 3 versions are not listed any more"), "{told}");
    assert_eq!(mirrored.read("a.wasm"), "one");
    mirrored.start_again();
    assert_ne!(mirrored.refresh().await, "", "after a restart a confirmation is needed again");
    assert_eq!(mirrored.refresh().await, "");

    assert_eq!(mirrored.read("a.wasm"), "nothing");
}

#[tokio::test]
async fn an_empty_repository_is_mirrored_as_one() {
    let mut mirrored = mirrored(Quota::unlimited());
    assert_eq!(mirrored.refresh().await, "");
    assert!(mirrored.folder.path().join("a/mirror").is_dir());
}

#[tokio::test]
async fn a_source_with_an_unreachable_store_is_degraded() {
    let state = tempfile::tempdir().unwrap();
    let settings = TenantSettings {
        // No server listens on this port.
        repository: RepositoryLocation::parse("http://127.0.0.1:9/models", FilePath::new(""))
            .unwrap(),
        ..TenantSettings::default()
    };

    let tenant = Tenant::new(TenantName::default_tenant(), settings);
    let config =
        crate::config::Config { state: state.path().into(), ..crate::config::Config::default() };
    let workers = Workers::new(FairScheduler::new(1)).unwrap();
    let (source, metrics) = (config.source(&tenant), RemoteMetrics::default());
    let (runtimes, claims) = Default::default();
    let source =
        crate::repository::Source::spawn(&tenant, source, &runtimes, &workers, &metrics, &claims);
    let source = source.unwrap();
    assert!(source.degraded_reason().unwrap().contains("has not been read yet"));
    let told = source.refresh().await.unwrap().unwrap();
    assert!(told.contains("http://127.0.0.1:9/models: cannot be listed"), "{told}");
    assert!(
        source.rescan().await.unwrap().degraded.is_some(),
        "an empty folder would unload what serves"
    );

    assert!(source.uploads().unwrap_err().to_string().contains("http://127.0.0.1:9/models"));
}

// === Pruning ===

impl Mirrored {
    /// Deletes versions with the next refresh. Returns its reason, and the versions that could not
    /// be deleted.
    async fn prune(&mut self, name: &str, versions: &[u64]) -> (String, BTreeMap<Version, String>) {
        let (reply, mut faults) = oneshot::channel();
        let name = ModelName::parse(name).unwrap();
        let versions =
            versions.iter().map(|number| Version::new(*number).unwrap()).collect::<Vec<_>>();
        let request = PruneRequest { name, versions, reply };
        let outcome = self.refresher.refresh(vec![request]).await;
        (outcome.degraded_reason.unwrap_or_default(), faults.try_recv().unwrap())
    }

    /// Returns the paths of all objects.
    async fn objects(&self) -> Vec<String> {
        let listed = self.store.list(None);
        let path = |object: object_store::Result<object_store::ObjectMeta>| {
            object.unwrap().location.to_string()
        };
        let mut paths: Vec<_> = listed.map(path).collect().await;
        paths.sort();
        paths
    }
}

#[tokio::test]
async fn pruned_versions_leave_the_store_and_the_mirror_at_once() {
    let mut mirrored = mirrored(Quota::unlimited());
    mirrored.put("a/model.toml", "# one").await;
    for version in 1..=4 {
        mirrored.put(&format!("a/{version}/model.wasm"), "one").await;
        mirrored.put(&format!("a/{version}/w.bin"), "one").await;
    }
    mirrored.put("a/1/deep/notes.txt", "not a file of the version").await;
    mirrored.put("interceptors/a/1/model.wasm", "one").await;
    mirrored.put("interceptors/a/2/model.wasm", "one").await;
    assert_eq!(mirrored.refresh().await, "");

    // More than half of the versions go, which needs no confirmation here.
    assert_eq!(mirrored.prune("a", &[1, 2, 3]).await, Default::default());
    assert_eq!(mirrored.prune("interceptors/a", &[1]).await, Default::default());
    assert_eq!(
        mirrored.objects().await,
        [
            "models/a/1/deep/notes.txt",
            "models/a/4/model.wasm",
            "models/a/4/w.bin",
            "models/a/model.toml",
            "models/interceptors/a/2/model.wasm",
        ]
    );
    for (path, content) in [("1/model.wasm", "nothing"), ("3/w.bin", "nothing"), ("4/w.bin", "one")]
    {
        assert_eq!(mirrored.read(&format!("a/{path}")), content);
    }
    assert_eq!(mirrored.read("interceptors/a/1/model.wasm"), "nothing");

    mirrored.start_again();
    assert_eq!(mirrored.refresh().await, "");
    assert_eq!(mirrored.read("a/4/w.bin"), "one");
}

#[tokio::test]
async fn a_version_that_is_no_longer_listed_is_pruned_from_the_mirror() {
    let mut mirrored = mirrored(Quota::unlimited());
    for version in 1..=3 {
        mirrored.put(&format!("a/{version}/model.wasm"), "one").await;
    }
    assert_eq!(mirrored.refresh().await, "");
    mirrored.delete("a/1/model.wasm").await;
    assert_eq!(mirrored.prune("a", &[1, 7]).await, Default::default());
    assert_eq!(mirrored.read("a/1/model.wasm"), "nothing");
    assert_eq!(mirrored.read("a/2/model.wasm"), "one");
}

#[tokio::test]
async fn nothing_is_pruned_if_the_store_cannot_be_listed() {
    let mut mirrored = mirrored(Quota::unlimited());
    mirrored.put("a/1/model.wasm", "one").await;
    assert_eq!(mirrored.refresh().await, "");

    // No server listens on this port.
    let location = StoreLocation::open(&Url::parse("http://127.0.0.1:9/models").unwrap()).unwrap();
    let config = RemoteConfig {
        url: Url::parse("http://127.0.0.1:9/models").unwrap(),
        refresh: Duration::ZERO,
        folder: mirrored.folder.path().join("a"),
    };
    let metrics = mirrored.metrics.for_tenant(mirrored.tenant.name());
    mirrored.refresher =
        Refresher::new(mirrored.tenant.clone(), config, metrics).with_location(location);

    let (reason, faults) = mirrored.prune("a", &[1]).await;
    assert!(reason.contains("cannot be listed"), "{reason}");
    assert_eq!(faults.into_values().collect::<Vec<_>>(), [reason]);
    assert_eq!(mirrored.read("a/1/model.wasm"), "one");
}

#[tokio::test]
async fn mirrored_files_have_the_times_of_their_objects() {
    let mut mirrored = mirrored(Quota::unlimited());
    mirrored.put("a/1/model.wasm", "one").await;
    let object = mirrored.store.head(&Path::from("models/a/1/model.wasm")).await.unwrap();
    let uploaded = std::time::SystemTime::from(object.last_modified);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(mirrored.refresh().await, "");

    let file = fs::metadata(mirrored.folder.path().join("a/mirror/a/1/model.wasm")).unwrap();
    let apart = uploaded.duration_since(file.modified().unwrap()).unwrap();
    assert!(apart < Duration::from_millis(2), "{apart:?}");
}
