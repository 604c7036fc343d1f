//! Uploads into real folders.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::model::{Stage, TenantName};
use crate::repository::Digest;
use crate::tenant::{Quota, Resource, TenantSettings};

/// Returns a component of a fixed size. Each label has its own content.
fn component(label: char) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0\0\x06\x05label".as_slice(), &[0, 3, 1, b'l', label as u8]].concat()
}

struct Bench {
    folder: TempDir,
    tenant: Arc<Tenant>,
    uploads: Arc<Uploads>,
}

impl Bench {
    fn new() -> Self {
        Bench::with(Quota::unlimited())
    }

    fn with(quota: Quota) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("models")).unwrap();
        let settings = TenantSettings { quota, ..TenantSettings::default() };
        let tenant = Tenant::new(TenantName::default_tenant(), settings);
        let root = RepositoryRoot::new(
            TenantName::default_tenant(),
            &folder.path().join("models"),
            1,
            None,
        );

        let uploads = Uploads::new(Arc::new(root), Runtimes::default(), ScanMeter::unmetered());

        Bench { folder, tenant, uploads }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("models").join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    fn begin(&self, model: &str, version: &str) -> Result<Upload, UploadError> {
        self.uploads.begin(&self.tenant, UploadTarget::parse(model, version)?, 0)
    }

    fn receive(
        &self,
        model: &str,
        version: &str,
        content: &[u8],
    ) -> Result<ReceivedUpload, UploadError> {
        let mut upload = self.begin(model, version)?;
        content.chunks(5).try_for_each(|piece| upload.write(piece))?;
        upload.finish()
    }

    fn put(&self, model: &str, version: &str, content: &[u8]) -> Result<PutOutcome, UploadError> {
        let mut received = self.receive(model, version, content)?;
        let candidate = received.candidate()?;
        received.put(&candidate)
    }

    fn remove(&self, model: &str, version: &str) -> Result<(), UploadError> {
        self.uploads.remove(&UploadTarget::parse(model, version)?)
    }

    fn stored(&self) -> u64 {
        self.tenant.used(Resource::Storage)
    }

    /// Number of staging directories. Nothing removes them asynchronously in these tests.
    fn staged(&self) -> usize {
        fs::read_dir(self.path(staging_dir::FOLDER)).map_or(0, Iterator::count)
    }
}

fn conflict<T>(outcome: Result<T, UploadError>) -> String {
    match outcome {
        Err(UploadError::Conflict(reason)) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was accepted"),
    }
}

#[test]
fn a_new_version_appears_and_an_old_one_is_replaced() {
    let bench = Bench::new();
    assert_eq!(bench.put("iris", "3", &component('a')).unwrap(), PutOutcome::New);
    assert_eq!(fs::read(bench.path("iris/3/model.wasm")).unwrap(), component('a'));
    assert!(bench.receive("iris", "3", &component('a')).unwrap().is_already_present().unwrap());
    assert!(!bench.receive("iris", "3", &component('b')).unwrap().is_already_present().unwrap());
    assert!(!bench.receive("iris", "4", &component('a')).unwrap().is_already_present().unwrap());
    assert_eq!(bench.put("iris", "3", &component('b')).unwrap(), PutOutcome::Replaced);
    assert_eq!(fs::read(bench.path("iris/3/model.wasm")).unwrap(), component('b'));
    bench.write("iris/4/golden.json", "{}");
    assert_eq!(bench.put("iris", "4", &component('b')).unwrap(), PutOutcome::New);

    assert_eq!((bench.staged(), bench.stored()), (0, 0));
}

#[test]
fn a_candidate_includes_the_files_at_its_place() {
    let bench = Bench::new();
    bench.write("iris/model.toml", "isolation = \"pooled\"");
    bench.write("iris/2/weights.bin", "w");
    bench.write("iris/2/golden.json", "{}");
    bench.write("iris/2/model.wasm", component('a'));
    let mut received = bench.receive("iris", "2", &component('b')).unwrap();
    let candidate = received.candidate().unwrap();
    assert_eq!(candidate.component_digest, Digest::sha256(&component('b')));
    assert_eq!(candidate.component.file().unwrap().read(u64::MAX).unwrap(), component('b'));
    assert_eq!(candidate.settings.isolation, crate::model::Isolation::Pooled);
    let sidecars: Vec<_> =
        candidate.sidecars.iter().map(|sidecar| (sidecar.name.as_str(), sidecar.digest)).collect();
    assert_eq!(sidecars, [("weights.bin", Digest::sha256(b"w"))]);
    assert!(candidate.golden.is_some());
    let alone = bench.receive("iris", "9", &component('b')).unwrap().candidate().unwrap();
    assert!(alone.sidecars.is_empty() && alone.golden.is_none());
    bench.write("iris/model.toml", "isolation = \"none\"");
    let Err(UploadError::Invalid(fault)) = received.candidate() else {
        panic!("it has faulty settings")
    };

    assert!(fault.stage == Stage::Read && fault.reason.contains("model.toml line 1"), "{fault}");
}

#[test]
fn a_change_during_validation_prevents_placing() {
    let bench = Bench::new();
    let mut received = bench.receive("iris", "1", &component('a')).unwrap();
    let candidate = received.candidate().unwrap();
    bench.write("iris/model.toml", "isolation = \"pooled\"");
    assert!(conflict(received.put(&candidate)).contains("changed during validation"));
    assert!(!bench.path("iris/1").exists());
    let candidate = received.candidate().unwrap();

    assert_eq!(received.put(&candidate).unwrap(), PutOutcome::New);
}

#[test]
fn files_and_links_in_the_way_are_refused() {
    let bench = Bench::new();
    bench.write("bare.wasm", component('a'));
    bench.write("file", "x");
    bench.write("real/1/model.wasm", component('a'));
    symlink("real", bench.path("linked")).unwrap();
    symlink("1", bench.path("real/2")).unwrap();
    bench.write("real/3", "x");
    fs::create_dir_all(bench.path("real/4/model.wasm")).unwrap();
    fs::create_dir(bench.path("real/5")).unwrap();
    symlink("../1/model.wasm", bench.path("real/5/model.wasm")).unwrap();

    for (model, version, says) in [
        ("bare", "1", "the model is the file bare.wasm"),
        ("file", "1", "file is not a folder"),
        ("linked", "1", "linked is a symbolic link"),
        ("real", "2", "real/2 is a symbolic link"),
        ("real", "3", "real/3 is not a folder"),
        ("real", "4", "real/4/model.wasm is not a regular file"),
        ("real", "5", "real/5/model.wasm is not a regular file"),
    ] {
        let refused = conflict(bench.begin(model, version));
        assert!(refused.contains(says), "{refused}");
        let refused = conflict(bench.remove(model, version));
        assert!(refused.contains(says), "{refused}");
    }

    // Created while the upload was in progress.
    let mut received = bench.receive("late", "1", &component('a')).unwrap();
    let candidate = received.candidate().unwrap();
    symlink("real", bench.path("late")).unwrap();
    assert!(received.put(&candidate).is_err());

    assert!(!bench.path("real/1/version").exists() && bench.path("real/1/model.wasm").exists());
}

#[test]
fn uploads_are_not_staged_through_a_link() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("kept")).unwrap();
    symlink(outside.path(), bench.path(staging_dir::FOLDER)).unwrap();
    assert!(matches!(bench.begin("iris", "1"), Err(UploadError::Io(_))));
    bench.uploads.remove_abandoned();

    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn only_complete_components_are_accepted() {
    let bench = Bench::new();
    for (content, says) in [
        (&b""[..], "the file is empty"),
        (b"hello", "not WebAssembly"),
        (b"\x7fELF\x02\x01\x01\0", "precompiled artifacts are never accepted"),
        (b"\0asm\x01\0\0\0", "a core module"),
        (&component('a')[..12], "truncated"),
    ] {
        let Err(UploadError::Invalid(fault)) = bench.receive("iris", "1", content) else {
            panic!("it was accepted")
        };
        assert!(fault.reason.contains(says), "{fault}");
    }

    assert_eq!((bench.staged(), bench.stored(), bench.path("iris").exists()), (0, 0, false));
}

#[test]
fn storage_is_counted_while_receiving_and_given_back() {
    let bench = Bench::with(Quota { storage: 100, ..Quota::unlimited() });
    bench.tenant.set_stored_bytes(50);
    let mut upload = bench.begin("iris", "1").unwrap();
    upload.write(&[0; 30]).unwrap();
    assert_eq!(bench.stored(), 80);
    let Err(UploadError::QuotaExceeded(refusal)) = upload.write(&[0; 30]) else {
        panic!("it fitted")
    };

    assert_eq!((refusal.quota, refusal.limit), ("storage", 100));
    drop(upload);
    assert_eq!((bench.staged(), bench.stored()), (0, 50));
    let announced =
        bench.uploads.begin(&bench.tenant, UploadTarget::parse("iris", "1").unwrap(), 51);
    assert!(matches!(announced, Err(UploadError::QuotaExceeded(_))));
    let received = bench.receive("iris", "1", &component('a')).unwrap();
    assert_eq!(bench.stored(), 50 + component('a').len() as u64);
    drop(received);

    assert_eq!((bench.staged(), bench.stored()), (0, 50));
}

#[test]
fn the_size_of_a_component_is_limited() {
    let bench = Bench::with(Quota { artifact_size: 40, ..Quota::unlimited() });
    let begin = |announced| {
        bench.uploads.begin(&bench.tenant, UploadTarget::parse("iris", "1").unwrap(), announced)
    };

    let mut upload = begin(40).unwrap();
    upload.write(&[0; 40]).unwrap();

    for refused in [upload.write(&[0]), begin(41).map(drop)] {
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("larger than the 40 bytes that the tenant's quota artifact_size"),
            "{refused}"
        );
    }

    let unlimited = Bench::new();
    let announced = unlimited.uploads.begin(
        &unlimited.tenant,
        UploadTarget::parse("iris", "1").unwrap(),
        (1 << 30) + 1,
    );

    assert!(matches!(announced, Err(UploadError::TooLarge { limit, .. }) if limit == 1 << 30));
}

#[test]
fn concurrent_uploads_are_limited() {
    let bench = Bench::new();
    let mut uploads: Vec<_> = (0..MAX_UPLOADS).map(|_| bench.begin("iris", "1").unwrap()).collect();
    let Err(UploadError::QuotaExceeded(refusal)) = bench.begin("iris", "1") else {
        panic!("it was accepted")
    };

    assert_eq!(refusal.quota, "uploads");
    uploads.pop();

    assert!(bench.begin("iris", "1").is_ok());
}

#[test]
fn concurrent_uploads_leave_one_complete_version() {
    let bench = Bench::new();
    let put = |label| {
        let bench = &bench;
        move || bench.put("iris", "1", &component(label)).is_ok()
    };

    std::thread::scope(|scope| {
        for label in ['a', 'b', 'c'] {
            scope.spawn(put(label));
        }
        scope.spawn(|| (0..20).for_each(|_| drop(bench.remove("iris", "1"))));
    });

    bench.put("iris", "1", &component('d')).unwrap();
    assert_eq!(fs::read(bench.path("iris/1/model.wasm")).unwrap(), component('d'));
    assert_eq!(fs::read_dir(bench.path("iris/1")).unwrap().count(), 1);

    assert_eq!(bench.staged(), 0);
}

#[test]
fn removing_the_last_version_removes_an_empty_model() {
    let bench = Bench::new();
    bench.put("iris", "1", &component('a')).unwrap();
    bench.put("iris", "2", &component('a')).unwrap();
    bench.write("iris/1/weights.bin", "w");
    bench.remove("iris", "1").unwrap();
    assert!(!bench.path("iris/1").exists() && bench.path("iris/2").exists());
    assert!(matches!(bench.remove("iris", "1"), Err(UploadError::NotFound)));
    bench.remove("iris", "2").unwrap();
    assert!(!bench.path("iris").exists());
    bench.put("iris", "1", &component('a')).unwrap();
    bench.write("iris/model.toml", "");
    bench.remove("iris", "1").unwrap();
    assert!(bench.path("iris/model.toml").exists());
    assert!(matches!(bench.remove("unknown", "1"), Err(UploadError::NotFound)));

    assert_eq!(bench.staged(), 0);
}

#[test]
fn abandoned_staging_directories_are_removed() {
    let bench = Bench::new();
    bench.write(".wardian-upload/1-2-3/version/model.wasm", "cut off");
    bench.write(".wardian-upload/1-2-3/lock", "");
    bench.write(".wardian-upload/1-2-4/version/model.wasm", "cut off");
    bench.write(".wardian-deleted-1-2-3/model.wasm", "on its way out");
    let upload = bench.begin("iris", "1").unwrap();
    assert_eq!(bench.staged(), 3);
    bench.uploads.remove_abandoned();
    assert_eq!(bench.staged(), 1);
    assert!(!bench.path(".wardian-deleted-1-2-3").exists());
    drop(upload);

    assert_eq!(bench.staged(), 0);
}
