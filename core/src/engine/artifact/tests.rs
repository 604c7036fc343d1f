use std::time::SystemTime;

use bytes::Bytes;

use super::files::{CODE, MANIFEST};
use super::*;
use crate::tenant::{Quota, Resource, TenantSettings, Tenants};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn info() -> ModelInfo {
    ModelInfo { metadata: Metadata::default(), snapshot: Snapshot::Impossible("a test".into()) }
}

fn key(name: &str) -> ArtifactKey {
    ArtifactKey::new(
        &TenantName::default_tenant(),
        name,
        Role::Model,
        &[0; 32],
        [],
        None,
        &BTreeMap::new(),
        &[],
    )
}

fn tenant(name: &str, storage: u64) -> Arc<Tenant> {
    let quota = Quota { storage, ..Quota::unlimited() };
    Tenant::new(
        TenantName::new(name).unwrap(),
        TenantSettings { quota, ..TenantSettings::default() },
    )
}

/// A store in a temporary directory.
struct Bench {
    parent: tempfile::TempDir,
    store: ArtifactStore,
}

impl Bench {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let store = ArtifactStore::open(&parent.path().join("artifacts")).unwrap();
        Bench { parent, store }
    }

    fn root(&self) -> PathBuf {
        self.parent.path().join("artifacts")
    }

    /// Collects the artifacts of the tenant `a` while no tenant is configured.
    fn collect(&self, keep: &HashSet<ArtifactKey>, max_age: Duration) -> io::Result<usize> {
        self.store.collect(&owner(), &HashSet::new(), keep, max_age)
    }

    /// Opens the store again, as another process would.
    fn reopened(self) -> Self {
        let Bench { parent, store } = self;
        drop(store);
        let store = ArtifactStore::open(&parent.path().join("artifacts")).unwrap();
        Bench { parent, store }
    }
}

/// Makes an artifact of slightly more than `size` bytes.
fn make(artifacts: &Arc<TenantArtifacts>, key: &ArtifactKey, size: usize) -> Result<(), LoadError> {
    let staged = artifacts.stage().unwrap();
    let (code, sidecars) =
        (vec![7; size], BTreeMap::from([("weights".to_string(), Bytes::from_static(&[1, 2, 3]))]));
    let content = ArtifactContent::new(&code, &Form::Whole, &info(), &sidecars).unwrap();
    write_artifact(staged.path(), &content).unwrap();
    assert_eq!(content.size(), files::directory_size(staged.path()).unwrap());
    artifacts.publish(key, staged)
}

#[test]
fn what_is_published_is_read_again() {
    let bench = Bench::new();
    let artifacts = bench.store.for_tenant(&tenant("a", u64::MAX)).unwrap();
    make(&artifacts, &key("a"), 4).unwrap();
    let artifact = artifacts.get(&key("a")).unwrap().unwrap();
    assert_eq!(artifact.info, info());
    let StoredFile { path, size } = &artifact.sidecars["weights"];
    assert_eq!((fs::read(path).unwrap(), *size), (vec![1, 2, 3], 3));
}

#[test]
fn a_damaged_artifact_is_not_used() {
    for victim in [CODE, MANIFEST, "sidecars/weights"] {
        let bench = Bench::new();
        let artifacts = bench.store.for_tenant(&tenant("a", u64::MAX)).unwrap();
        make(&artifacts, &key("a"), 4).unwrap();

        let folder = bench.root().join("a").join(&key("a").0);
        let mut content = fs::read(folder.join(victim)).unwrap();
        content[0] ^= 1;
        fs::remove_file(folder.join(victim)).unwrap();
        fs::write(folder.join(victim), content).unwrap();
        assert!(artifacts.get(&key("a")).unwrap().is_none(), "{victim}");
        assert!(!folder.exists(), "{victim}");
    }
}

#[test]
fn what_is_in_use_counts_as_storage_and_the_longest_unused_makes_room() {
    let bench = Bench::new();
    let tenant = tenant("a", 40_000);
    let artifacts = bench.store.for_tenant(&tenant).unwrap();
    let counts =
        || (tenant.used_by_artifacts() / 10_000, tenant.used(Resource::Artifacts) / 10_000);
    make(&artifacts, &key("a"), 10_000).unwrap();
    make(&artifacts, &key("b"), 10_000).unwrap();

    let in_use = artifacts.get(&key("a")).unwrap();
    assert_eq!(counts(), (1, 2));

    // There is no room for a third artifact beside the two.
    make(&artifacts, &key("c"), 20_000).unwrap();
    assert!(artifacts.get(&key("b")).unwrap().is_none());
    assert_eq!(counts(), (1, 3));

    let refused = make(&artifacts, &key("d"), 30_000).unwrap_err();
    assert!(
        refused.stage == Stage::Quota && refused.reason.contains("raise quota.storage"),
        "{refused}"
    );
    assert_eq!(counts(), (1, 3), "what was refused leaves nothing and takes nothing");
    drop(in_use);
    assert_eq!(counts(), (0, 3));
    assert_eq!(artifacts.room_for(&key("d")), Ok(40_000));
}

#[test]
fn what_was_refused_is_not_made_again_for_nothing() {
    let bench = Bench::new();
    let tenant = tenant("a", 10_000);
    let artifacts = bench.store.for_tenant(&tenant).unwrap();
    let held = tenant.take(Resource::Storage, 6_000).unwrap();
    let room = artifacts.room_for(&key("a")).unwrap();

    artifacts.record_refused(&key("a"), room, &storage_exceeded(5_000, 10_000, room));
    assert!(artifacts.room_for(&key("a")).is_err());
    drop(held);
    assert_eq!(artifacts.room_for(&key("a")), Ok(10_000));
}

#[test]
fn a_smaller_quota_counts_when_the_store_is_opened() {
    let bench = Bench::new();
    let artifacts = bench.store.for_tenant(&tenant("a", u64::MAX)).unwrap();
    make(&artifacts, &key("a"), 10_000).unwrap();
    make(&artifacts, &key("b"), 10_000).unwrap();

    let bench = bench.reopened();
    let tenant = tenant("a", 15_000);
    bench.store.for_tenant(&tenant).unwrap();
    assert_eq!(tenant.used(Resource::Artifacts) / 10_000, 1);
    assert_eq!(fs::read_dir(bench.root().join("a")).unwrap().count(), 1);
}

#[test]
fn each_tenant_has_a_folder_of_its_own() {
    let bench = Bench::new();
    let (a, b) = (tenant("a", u64::MAX), tenant("b", u64::MAX));
    make(&bench.store.for_tenant(&a).unwrap(), &key("a"), 4).unwrap();
    assert!(bench.store.for_tenant(&b).unwrap().get(&key("a")).unwrap().is_none());
}

fn owner() -> TenantName {
    TenantName::new("a").unwrap()
}

#[test]
fn what_one_tenant_wants_says_nothing_of_another() {
    let bench = Bench::new();
    let artifacts = bench.store.for_tenant(&tenant("b", u64::MAX)).unwrap();
    make(&artifacts, &key("b"), 4).unwrap();
    assert_eq!(bench.collect(&HashSet::new(), Duration::ZERO).unwrap(), 0);
    assert!(artifacts.get(&key("b")).unwrap().is_some());
}

#[test]
fn what_is_no_longer_wanted_is_collected() {
    let bench = Bench::new();
    let artifacts = bench.store.for_tenant(&tenant("a", u64::MAX)).unwrap();

    for name in ["kept", "gone", "used"] {
        make(&artifacts, &key(name), 4).unwrap();
    }

    let used = artifacts.get(&key("used")).unwrap().unwrap();
    let keep = HashSet::from([key("kept")]);
    assert_eq!(bench.collect(&keep, DAY).unwrap(), 0);
    assert_eq!(bench.collect(&keep, Duration::ZERO).unwrap(), 1);
    assert!(artifacts.get(&key("kept")).unwrap().is_some() && used.code.exists());
}

/// Leaves shared code beside an artifact that was just made, and publishes it.
fn make_shared_code(artifacts: &Arc<TenantArtifacts>) -> ArtifactKey {
    let code = ArtifactKey::of_shared_code("scope", b"code");
    let staged = artifacts.stage().unwrap();
    let folder = staged.path().join(format!("{SHARED_CODE_PREFIX}{code}"));
    fs::create_dir(&folder).unwrap();
    write_artifact(&folder, &ArtifactContent::of_shared_code(b"machine code", 3).unwrap()).unwrap();
    assert!(artifacts.publish_shared_code(staged.path()).unwrap());
    code
}

fn make_state(artifacts: &Arc<TenantArtifacts>, key: &ArtifactKey, code: &ArtifactKey) {
    let staged = artifacts.stage().unwrap();
    let form = Form::State { code: code.clone() };
    let none = BTreeMap::new();
    let info = ModelInfo { snapshot: Snapshot::Taken, ..info() };
    let content = ArtifactContent::new(b"state", &form, &info, &none).unwrap();
    write_artifact(staged.path(), &content).unwrap();
    artifacts.publish(key, staged).unwrap();
}

#[test]
fn shared_code_is_collected_after_the_last_artifact_that_needs_it() {
    let mut bench = Bench::new();
    let mut artifacts = bench.store.for_tenant(&tenant("a", u64::MAX)).unwrap();
    let code = make_shared_code(&artifacts);
    for name in ["one", "other"] {
        make_state(&artifacts, &key(name), &code);
    }
    assert_eq!(
        artifacts.get(&key("one")).unwrap().unwrap().form,
        Form::State { code: code.clone() }
    );

    let keep = HashSet::from([key("one")]);
    assert_eq!(bench.collect(&keep, Duration::ZERO).unwrap(), 1);

    // The artifacts that need it are known after a restart as well.
    drop(artifacts);
    bench = bench.reopened();
    artifacts = bench.store.for_tenant(&tenant("a", u64::MAX)).unwrap();
    assert_eq!(bench.collect(&keep, Duration::ZERO).unwrap(), 0);
    let in_use = artifacts.get(&code).unwrap().unwrap();
    assert_eq!(in_use.form, Form::Code { tables: 3 });

    assert_eq!(bench.collect(&HashSet::new(), Duration::ZERO).unwrap(), 1);
    drop(in_use);
    assert_eq!(bench.collect(&HashSet::new(), Duration::ZERO).unwrap(), 1);
    assert!(artifacts.is_empty());
}

#[test]
fn shared_code_counts_once_and_makes_room_last() {
    let bench = Bench::new();
    let tenant = tenant("a", 3000);
    let artifacts = bench.store.for_tenant(&tenant).unwrap();
    let code = make_shared_code(&artifacts);
    for name in ["one", "other"] {
        make_state(&artifacts, &key(name), &code);
    }
    let (first, second) = (artifacts.get(&code).unwrap(), artifacts.get(&code).unwrap());
    let size = files::directory_size(&bench.root().join("a").join(&code.0)).unwrap();
    assert_eq!(tenant.used_by_artifacts(), size);
    drop((first, second));

    make(&artifacts, &key("large"), 2500).unwrap();
    assert!(artifacts.get(&key("one")).unwrap().is_none());
    assert!(artifacts.get(&key("other")).unwrap().is_none());
}

#[test]
fn shared_code_in_use_can_be_replaced_by_an_equal_one() {
    let bench = Bench::new();
    let tenant = tenant("a", u64::MAX);
    let artifacts = bench.store.for_tenant(&tenant).unwrap();
    let code = make_shared_code(&artifacts);
    let in_use = artifacts.get(&code).unwrap();
    let used = tenant.used_by_artifacts();
    make_shared_code(&artifacts);
    assert_eq!(tenant.used_by_artifacts(), used);
    drop(in_use);
    assert_eq!(tenant.used_by_artifacts(), 0);
}

#[test]
fn artifacts_of_a_removed_tenant_go_once_they_are_unused() {
    let bench = Bench::new();
    let tenants = Tenants::new(
        BTreeMap::from([(TenantName::new("a").unwrap(), TenantSettings::default())]),
        Vec::new(),
    );
    let artifacts = bench.store.for_tenant(&tenants.find("a").unwrap()).unwrap();
    make(&artifacts, &key("a"), 4).unwrap();

    let used = artifacts.get(&key("a")).unwrap();
    tenants.apply(BTreeMap::new(), Vec::new());
    assert_eq!(bench.collect(&HashSet::new(), DAY).unwrap(), 0);
    drop(used);
    assert_eq!(bench.collect(&HashSet::new(), DAY).unwrap(), 1);
    assert!(!bench.root().join("a").exists());
}

#[test]
fn the_artifacts_of_a_tenant_that_is_not_known_go_after_a_day() {
    let bench = Bench::new();
    make(&bench.store.for_tenant(&tenant("a", u64::MAX)).unwrap(), &key("a"), 4).unwrap();

    let bench = bench.reopened();
    let folder = bench.root().join("a");
    assert_eq!(bench.collect(&HashSet::new(), DAY).unwrap(), 0);

    let long_ago = SystemTime::now() - 2 * DAY;
    fs::File::open(folder.join(&key("a").0)).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(bench.collect(&HashSet::new(), DAY).unwrap(), 1);
    assert!(!folder.exists());
}

#[test]
fn the_artifacts_of_a_configured_tenant_that_has_loaded_nothing_stay() {
    let bench = Bench::new();
    make(&bench.store.for_tenant(&tenant("b", u64::MAX)).unwrap(), &key("b"), 4).unwrap();

    let bench = bench.reopened();
    let folder = bench.root().join("b").join(&key("b").0);
    let long_ago = SystemTime::now() - 2 * DAY;
    fs::File::open(&folder).unwrap().set_modified(long_ago).unwrap();
    let configured = HashSet::from([owner(), TenantName::new("b").unwrap()]);
    let removed = bench.store.collect(&owner(), &configured, &HashSet::new(), DAY).unwrap();
    assert!(removed == 0 && folder.exists());
}

#[test]
fn unfinished_work_and_artifacts_of_earlier_releases_are_cleared_away() {
    let bench = Bench::new();
    let artifacts = bench.store.for_tenant(&tenant("a", u64::MAX)).unwrap();
    make(&artifacts, &key("a"), 4).unwrap();

    let unfinished = artifacts.stage().unwrap().keep();
    let flat = bench.root().join(key("b").0);
    fs::create_dir(&flat).unwrap();
    fs::write(flat.join(MANIFEST), "{}").unwrap();

    let bench = bench.reopened();
    assert!(!unfinished.exists() && !flat.exists());

    let again = bench.store.for_tenant(&tenant("a", u64::MAX)).unwrap();
    assert!(again.get(&key("a")).unwrap().is_some());
}

#[test]
fn one_process_at_a_time() {
    let bench = Bench::new();
    let refused = ArtifactStore::open(&bench.root()).err().unwrap();
    assert!(refused.to_string().contains("another process"), "{refused}");
    bench.reopened();
}

#[test]
fn every_part_of_the_key_counts() {
    let config = |value: &str| BTreeMap::from([("threshold".to_string(), value.to_string())]);
    let [a, b] = ["a", "b"].map(|name| TenantName::new(name).unwrap());
    let none = BTreeMap::new();
    let with_sidecar = |name, digest: &[u8; 32]| {
        ArtifactKey::new(&a, "engine", Role::Model, &[0; 32], [(name, digest)], None, &none, &[])
    };
    let with_config = |value| {
        ArtifactKey::new(&a, "engine", Role::Model, &[0; 32], [], None, &config(value), &[])
    };
    let granted = &[Capability::Http];
    let sidecar = [("a", &[0; 32])];
    let keys = [
        ArtifactKey::new(&a, "engine", Role::Model, &[0; 32], sidecar, Some("a"), &none, &[]),
        ArtifactKey::new(&b, "engine", Role::Model, &[0; 32], [], None, &none, &[]),
        ArtifactKey::new(&a, "engine", Role::Model, &[0; 32], [], None, &none, &[]),
        ArtifactKey::new(&a, "other", Role::Model, &[0; 32], [], None, &none, &[]),
        ArtifactKey::new(&a, "engine", Role::Model, &[1; 32], [], None, &none, &[]),
        with_sidecar("a", &[0; 32]),
        with_sidecar("b", &[0; 32]),
        with_sidecar("a", &[1; 32]),
        with_config("0.5"),
        with_config("0.6"),
        ArtifactKey::new(&a, "engine", Role::Model, &[0; 32], [], None, &none, granted),
        ArtifactKey::new(&a, "engine", Role::Interceptor, &[0; 32], [], None, &none, &[]),
    ];

    assert_eq!(HashSet::from(keys).len(), 12);
}
