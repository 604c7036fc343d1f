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

    /// Its models may call any origin.
    fn unlimited() -> Self {
        let folder = crate::tenant::RepositoryLocation::Directory("models".into());
        Bench::of(TenantSettings::unlimited(folder))
    }

    fn with(quota: Quota) -> Self {
        Bench::of(TenantSettings { quota, ..TenantSettings::default() })
    }

    fn of(settings: TenantSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("models")).unwrap();
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
        self.uploads.begin(&self.tenant, UploadTarget::parse(model, version)?, Announced::default())
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
    let announced = bench.uploads.begin(
        &bench.tenant,
        UploadTarget::parse("iris", "1").unwrap(),
        Announced { size: 51, is_archive: false },
    );
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
        let announced = Announced { size: announced, is_archive: false };
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
    let target = || UploadTarget::parse("iris", "1").unwrap();
    let size = (1 << 30) + 1;
    let announced = Announced { size, is_archive: false };
    let upload = unlimited.uploads.begin(&unlimited.tenant, target(), announced);
    let announced = upload.unwrap().write(&component('a'));
    let archive = Announced { size, is_archive: true };
    assert!(unlimited.uploads.begin(&unlimited.tenant, target(), archive).is_ok());

    assert!(matches!(announced, Err(UploadError::TooLarge { limit, .. }) if limit == 1 << 30));
}

/// Returns a tar archive of these files.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn an_archive_replaces_all_files_of_a_version() {
    let bench = Bench::new();
    bench.write("iris/2/old.bin", "o");
    bench.write("iris/2/model.wasm", component('a'));
    bench.write("iris/model.toml", "isolation = \"pooled\"");
    let made = tar(&[
        ("model.wasm", &component('b')),
        ("weights.bin", b"w"),
        ("golden.json", b"{}"),
        ("metadata.json", b"{}"),
    ]);

    let mut received = bench.receive("iris", "2", &made).unwrap();
    assert!(!received.is_already_present().unwrap());
    let candidate = received.candidate().unwrap();
    assert_eq!(candidate.component.file().unwrap().read(u64::MAX).unwrap(), component('b'));
    assert_eq!(candidate.settings.isolation, crate::model::Isolation::Pooled);
    let sidecars: Vec<_> = candidate.sidecars.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(
        (sidecars, candidate.golden.is_some()),
        (vec!["metadata.json", "weights.bin"], true)
    );

    assert_eq!(received.put(&candidate).unwrap(), PutOutcome::Replaced);
    drop(received);
    assert!(!bench.path("iris/2/old.bin").exists());
    assert_eq!(fs::read(bench.path("iris/2/weights.bin")).unwrap(), b"w");
    assert!(bench.receive("iris", "2", &made).unwrap().is_already_present().unwrap());
    bench.write("iris/2/more.bin", "");
    assert!(!bench.receive("iris", "2", &made).unwrap().is_already_present().unwrap());
    assert_eq!((bench.staged(), bench.stored()), (0, 0));
}

#[test]
fn a_model_file_is_the_only_file_of_its_version() {
    let bench = Bench::new();
    let onnx = |label| [b"\x08\x08\x12\x07pytorch".as_slice(), &[label; 2000]].concat();
    assert_eq!(bench.put("rent", "1", &onnx(1)).unwrap(), PutOutcome::New);
    assert_eq!(fs::read(bench.path("rent/1/model.onnx")).unwrap(), onnx(1));
    assert!(bench.receive("rent", "1", &onnx(1)).unwrap().is_already_present().unwrap());
    assert_eq!(bench.put("rent", "1", &onnx(2)).unwrap(), PutOutcome::Replaced);
    assert_eq!(fs::read(bench.path("rent/1/model.onnx")).unwrap(), onnx(2));

    bench.write("rent/1/golden.json", "{}");
    assert!(conflict(bench.put("rent", "1", &onnx(3))).contains("such as golden.json"));
    bench.put("iris", "1", &component('a')).unwrap();
    assert!(conflict(bench.put("iris", "1", &onnx(3))).contains("such as model.wasm"));
    let Err(UploadError::Invalid(fault)) = bench.receive("rent", "2", b"\x80\x04\x95\x14") else {
        panic!("a pickle was accepted")
    };
    assert!(fault.reason.contains("it is a Python pickle; a pickle runs code"), "{fault}");
    assert_eq!((bench.staged(), bench.stored()), (0, 0));
}

#[test]
fn settings_in_an_archive_are_those_of_a_new_model_or_the_same() {
    let bench = Bench::new();
    let with = |settings: &str| {
        tar(&[("model.wasm", &component('a')), ("model.toml", settings.as_bytes())])
    };
    let pooled = with("isolation = \"pooled\"");
    assert_eq!(bench.put("iris", "1", &pooled).unwrap(), PutOutcome::New);
    assert_eq!(
        fs::read_to_string(bench.path("iris/model.toml")).unwrap(),
        "isolation = \"pooled\""
    );
    assert!(!bench.path("iris/1/model.toml").exists());
    assert!(bench.receive("iris", "1", &pooled).unwrap().is_already_present().unwrap());
    assert_eq!(bench.put("iris", "2", &pooled).unwrap(), PutOutcome::New);

    let other = with("isolation = \"request\"");
    assert!(!bench.receive("iris", "1", &other).unwrap().is_already_present().unwrap());
    let differs = conflict(bench.put("iris", "3", &other));
    assert!(differs.contains("differs from iris/model.toml"), "{differs}");
    assert!(!bench.path("iris/3").exists());

    // A model without versions has no settings to lose.
    fs::remove_dir_all(bench.path("iris/1")).unwrap();
    fs::remove_dir_all(bench.path("iris/2")).unwrap();
    assert_eq!(bench.put("iris", "3", &other).unwrap(), PutOutcome::New);

    let Err(UploadError::Invalid(fault)) = bench.put("new", "1", &with("isolation = 1")) else {
        panic!("it has faulty settings")
    };
    assert!(fault.reason.contains("model.toml"), "{fault}");
    assert!(!bench.path("new").exists());
    assert_eq!((bench.staged(), bench.stored()), (0, 0));
}

#[test]
fn uploaded_settings_open_no_origins_on_a_server_without_tenants() {
    let settings = b"[capabilities]\nhttp = ['http://10.0.0.1']";
    let made = tar(&[("model.wasm", &component('a')), ("model.toml", settings)]);
    let bench = Bench::new();
    // The load checks origins against grants that are listed.
    assert!(bench.put("iris", "1", &made).is_ok());

    let bench = Bench::unlimited();
    let Err(UploadError::Invalid(fault)) = bench.put("iris", "1", &made) else {
        panic!("it was accepted")
    };
    assert!(fault.reason.contains("capabilities.http cannot be uploaded"), "{fault}");
    bench.write("iris/model.toml", settings);
    assert!(bench.put("iris", "1", &made).is_ok(), "the same settings are there");
}

#[test]
fn an_archive_is_bounded_while_it_arrives() {
    let bench = Bench::with(Quota { storage: 3000, artifact_size: 2000, ..Quota::unlimited() });
    let large = tar(&[("model.wasm", &component('a')), ("a.bin", &[1; 2001])]);
    let Err(UploadError::FileTooLarge { what, limit, .. }) = bench.receive("iris", "1", &large)
    else {
        panic!("it was accepted")
    };
    assert_eq!((what.as_str(), limit), ("a.bin", 2000));

    let many = tar(&[("a.bin", &[1; 1900]), ("b.bin", &[1; 1900])]);
    let Err(UploadError::QuotaExceeded(refusal)) = bench.receive("iris", "1", &many) else {
        panic!("it was accepted")
    };
    assert_eq!(refusal.quota, "storage");
    let golden = header_of("golden.json", (16 << 20) + 1);
    let unlimited = Bench::new();
    assert!(matches!(
        unlimited.receive("iris", "1", &golden),
        Err(UploadError::FileTooLarge { limit, .. }) if limit == 16 << 20
    ));
    assert_eq!((bench.staged(), bench.stored(), bench.path("iris").exists()), (0, 0, false));
}

/// Returns the header of a file of this size.
fn header_of(name: &str, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn an_archive_without_a_whole_component_is_refused() {
    let bench = Bench::new();
    let truncated = &component('a')[..12];
    for (files, says) in [
        (&[("weights.bin", &b"w"[..])][..], "model.wasm"),
        (&[("model.wasm", b"hello")], "not WebAssembly"),
        (&[("model.wasm", truncated)], "truncated"),
    ] {
        let Err(UploadError::Invalid(fault)) = bench.put("iris", "1", &tar(files)) else {
            panic!("it was accepted")
        };
        assert!(fault.reason.contains(says), "{fault}");
    }
    assert_eq!((bench.staged(), bench.stored(), bench.path("iris").exists()), (0, 0, false));
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

#[test]
fn versions_of_models_and_interceptors_are_pruned() {
    let bench = Bench::new();
    for model in ["iris", "interceptors/audit"] {
        for version in 1..=3 {
            bench.write(&format!("{model}/{version}/model.wasm"), component('a'));
            bench.write(&format!("{model}/{version}/w.bin"), "weights");
        }
        bench.write(&format!("{model}/model.toml"), "prune = 1");
    }

    let versions = [1, 2, 9].map(|number| Version::new(number).unwrap());
    for model in ["iris", "interceptors/audit"] {
        let name = ModelName::parse(model).unwrap();
        assert_eq!(bench.uploads.prune(&name, &versions), BTreeMap::new());
        let mut left: Vec<_> = fs::read_dir(bench.path(model)).unwrap().collect();
        left.retain(|entry| entry.as_ref().unwrap().file_name() != "model.toml");
        assert_eq!(left.len(), 1);
        assert!(bench.path(&format!("{model}/3/w.bin")).exists());
    }
    let hidden = fs::read_dir(bench.path("")).unwrap();
    assert_eq!(hidden.count(), 2, "nothing is left under a hidden name");
}

#[test]
fn links_are_not_followed_when_versions_are_pruned() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    let kept = outside.path().join("audit/1/model.wasm");
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    fs::write(&kept, component('a')).unwrap();
    symlink(outside.path(), bench.path("interceptors")).unwrap();
    fs::create_dir(bench.path("iris")).unwrap();
    symlink(outside.path().join("audit/1"), bench.path("iris/1")).unwrap();
    symlink(outside.path().join("audit"), bench.path("rent")).unwrap();

    let one = [Version::new(1).unwrap()];
    for (model, says) in [
        ("interceptors/audit", "interceptors is a symbolic link; uploads follow none; remove"),
        ("iris", "iris/1 is a symbolic link; uploads follow none; remove the version by hand"),
        ("rent", "rent is a symbolic link; uploads follow none; remove the version by hand, or"),
    ] {
        let faults = bench.uploads.prune(&ModelName::parse(model).unwrap(), &one);
        let told = &faults[&one[0]];
        assert!(told.starts_with(says), "{told}");
        assert!(told.ends_with(&format!("or remove `prune` from {model}/model.toml")), "{told}");
    }
    assert!(kept.exists());
}
