//! Scans of real folders by a real thread, by events and by polling. Every test waits for a state.

use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;
use tokio::sync::watch;

use super::onnx_domains::tests::network;
use super::runtimes::{Origin, test_runtime};
use super::*;
use crate::model::{ModelName, TenantName, VersionPolicy};

/// Longer than any test takes unless it fails.
const PATIENCE: Duration = Duration::from_secs(30);
const SETTLE: Duration = Duration::from_millis(30);
const NEVER: Duration = Duration::from_secs(3600);

/// Returns a component of a fixed size. Each label has its own content.
fn component(label: char) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0\0\x06\x05label".as_slice(), &[0, 3, 1, b'l', label as u8]].concat()
}

/// A runtime for files that end in `.toy`.
fn toy_runtime(name: &str, salt: u8) -> Runtime {
    test_runtime(name, &["toy"], &["toy"], Origin::Folder, salt)
}

fn catalog(runtime: Runtime) -> RuntimeCatalog {
    RuntimeCatalog::of([Arc::new(runtime)])
}

struct Bench {
    folder: TempDir,
    watch: WatchMode,
    runtimes: Runtimes,
    directory: Directory,
    announced: watch::Receiver<Arc<AspiredVersions>>,
}

impl Bench {
    fn new(watch: WatchMode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("models")).unwrap();
        Bench::over(folder, watch)
    }

    fn over(folder: TempDir, watch: WatchMode) -> Self {
        let runtimes = Runtimes::default();
        let directory = Directory::spawn(config(folder.path(), watch), &runtimes).unwrap();
        Bench { announced: directory.subscribe(), directory, folder, watch, runtimes }
    }

    /// Restarts the source over the same files and state.
    fn restarted(self) -> Self {
        let Bench { folder, watch, directory, .. } = self;
        drop(directory);
        Bench::over(folder, watch)
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn until(
        &mut self,
        what: &str,
        mut right: impl FnMut(&AspiredVersions) -> bool,
    ) -> Arc<AspiredVersions> {
        let announced = &mut self.announced;
        let waited = patiently(async {
            announced.wait_for(|aspired| right(aspired)).await.unwrap().clone()
        });

        waited.unwrap_or_else(|| {
            let last = self.announced.borrow().clone();
            panic!(
                "{:?}: waited for {what}, last seen {:?}, degraded {:?}",
                self.watch,
                shape(&last),
                last.degraded
            )
        })
    }

    /// Waits until the announcement equals these lines. Each is a prefix of a line of [`shape`].
    fn sees(&mut self, lines: &[&str]) -> Arc<AspiredVersions> {
        self.until(&format!("{lines:?}"), |aspired| {
            let shape = shape(aspired);
            let begins = |(have, want): (&String, &&str)| have.starts_with(want);
            aspired.degraded.is_none()
                && shape.len() == lines.len()
                && shape.iter().zip(lines).all(begins)
        })
    }
}

/// Runs a future. Returns `None` if it takes too long.
fn patiently<T>(future: impl Future<Output = T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.ok() })
}

fn config(folder: &Path, watch: WatchMode) -> DirectoryConfig {
    DirectoryConfig {
        max_versions: 1000,
        is_mirror: false,
        tenant: TenantName::default_tenant(),
        root: folder.join("models"),
        state: folder.join("state"),
        watch,
        poll_interval: Duration::from_millis(20),
        // With events, only events and the settle time wake the thread.
        rescan_interval: NEVER,
        settle: SETTLE,
    }
}

/// Returns one line for each entry: `iris/1 a` is the complete version 1 of `iris` with component
/// a.
fn shape(aspired: &AspiredVersions) -> Vec<String> {
    aspired.observed.iter().map(line).collect()
}

fn line(seen: &Observed) -> String {
    let id = seen
        .version()
        .map_or(seen.name().to_string(), |version| format!("{}/{version}", seen.name()));

    match seen {
        Observed::Unsettled { .. } => format!("{id} unsettled"),
        Observed::Faulty { reason, .. } => format!("{id} faulty: {reason}"),
        Observed::Missing { reason, .. } => format!("{id} missing: {reason}"),
        Observed::Candidate(candidate) => {
            let held =
                |label: &char| Digest::sha256(&component(*label)) == candidate.component_digest;
            let sidecars: String =
                candidate.sidecars.iter().map(|sidecar| format!(" +{}", sidecar.name)).collect();
            let golden = candidate.golden.as_ref().map_or("", |_| " golden");
            let component = match &candidate.component {
                ComponentSource::File(_) => ('a'..='z').find(held).unwrap_or('?').to_string(),
                ComponentSource::Runtime(ModelFile { name, format, runtime }) => {
                    assert_eq!(candidate.component_digest, runtime.digest());
                    format!("{} {format} {name}", runtime.name())
                }
            };
            format!("{id} {component}{sidecars}{golden}")
        }
    }
}

fn everywhere(test: impl Fn(Bench)) {
    test(Bench::new(WatchMode::Poll));
    test(Bench::new(WatchMode::Events));
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

// === Layouts ===

#[test]
fn bare_components_and_folders_are_models() {
    everywhere(|mut bench| {
        bench.write("iris.wasm", component('a'));
        bench.write("house/1/model.wasm", component('b'));
        bench.write("house/2/model.wasm", component('c'));
        bench.write("house/2/weights.bin", "w");
        bench.write("house/2/coefficients.json", "{}");
        bench.write("house/2/golden.json", "[]");
        bench.write("house/model.toml", "versions = 'all'");
        bench.write("README.md", "read me");
        bench.write("lost+found/1/model.wasm", component('z'));
        for ignored in [
            ".hidden.wasm",
            "x.wasm.tmp",
            "x.wasm.part",
            "x.wasm~",
            "y.tmp/1/model.wasm",
            "house/3.part/model.wasm",
        ] {
            bench.write(ignored, component('z'));
        }
        let aspired = bench.sees(&[
            "house/1 b",
            "house/2 c +coefficients.json +weights.bin golden",
            "iris/1 a",
        ]);
        assert!(aspired.first_settled && aspired.is_settled());
        let Observed::Candidate(house) = &aspired.observed[1] else { panic!() };
        assert_eq!(house.settings.versions, VersionPolicy::All);
        assert_eq!(house.component.file().unwrap().path(), Path::new("house/2/model.wasm"));
        assert_eq!(house.component_size, component('c').len() as u64);
        assert_eq!(house.sidecars[1].digest, Digest::sha256(b"w"));
    });
}

#[test]
fn interceptors_are_announced_under_their_own_names() {
    everywhere(|mut bench| {
        bench.write("iris.wasm", component('a'));
        bench.write("interceptors/audit.wasm", component('b'));
        bench.write("interceptors/iris/2/model.wasm", component('c'));
        bench.write("interceptors/README.md", "read me");
        bench.sees(&["interceptors/audit/1 b", "interceptors/iris/2 c", "iris/1 a"]);
        bench.write("interceptors/audit.wasm", component('d'));
        bench.sees(&["interceptors/audit/2 d", "interceptors/iris/2 c", "iris/1 a"]);
        fs::remove_dir_all(bench.root().join("interceptors")).unwrap();
        bench.sees(&["iris/1 a"]);
    });
}

#[test]
fn interceptors_that_cannot_be_listed_degrade_the_repository() {
    everywhere(|mut bench| {
        bench.write("iris.wasm", component('a'));
        bench.write("interceptors/audit.wasm", component('b'));
        bench.sees(&["interceptors/audit/1 b", "iris/1 a"]);
        let (there, aside) = (bench.root().join("interceptors"), bench.root().join(".aside"));
        fs::rename(&there, &aside).unwrap();
        symlink("nowhere", &there).unwrap();
        let degraded = bench.until("degraded", |aspired| aspired.degraded.is_some());
        assert_eq!(shape(&degraded), ["interceptors/audit/1 b", "iris/1 a"]);
        assert!(
            degraded
                .degraded
                .as_ref()
                .unwrap()
                .reason
                .contains("interceptors: a link that leads nowhere")
        );
        fs::remove_file(&there).unwrap();
        fs::rename(&aside, &there).unwrap();
        bench.sees(&["interceptors/audit/1 b", "iris/1 a"]);
    });
}

#[test]
fn faults_are_reported_with_their_reason() {
    everywhere(|mut bench| {
        bench.write("both.wasm", component('a'));
        bench.write("both/1/model.wasm", component('a'));
        bench.write("compiled.cwasm", b"\x7fELF");
        bench.write("core.wasm", b"\0asm\x01\0\0\0");
        bench.write("elf.wasm", b"\x7fELF\x02\x01\x01\0");
        bench.write("empty.wasm", "");
        bench.write("file/1", "x");
        bench.write("none/1/weights.bin", "w");
        for number in 0..=64 {
            bench.write(&format!("sidecars/1/{number}"), "x");
        }
        bench.write("sidecars/1/model.wasm", component('a'));
        bench.write("toml/1/model.wasm", component('a'));
        bench.write("toml/model.toml", "\nisolation = 'x'\nspeed = 9");
        bench.sees(&[
            "both faulty: both both.wasm and both/ exist; remove one of them",
            "compiled faulty: compiled.cwasm: precompiled artifacts are never accepted",
            "core faulty: core.wasm: a core module, not a component; build it with",
            "elf faulty: elf.wasm: native code: precompiled artifacts are never accepted",
            "empty faulty: empty.wasm: the file is empty",
            "file/1 faulty: 1: a file, where a folder is expected",
            "none/1 faulty: no model.wasm or model file in it yet",
            "sidecars/1 faulty: 65 sidecar files are more than the 64 allowed",
            "toml faulty: model.toml line 2: isolation: expected \"request\" or \"pooled\", found \"x\"; model.toml line 3: speed",
        ]);
    });
}

#[test]
fn settings_of_modules_are_sidecars() {
    everywhere(|mut bench| {
        let network = network(&["input_ids"]);
        bench.write("embed/1/model.onnx", &network);
        bench.write("embed/1/tokenizer.json", "{}");
        bench.write("embed/1/1_Pooling/config.json", "{}");
        bench.write("embed/1/2_Dense/model.bin", "{}");
        bench.write("embed/1/onnx/config.json", "{}");
        bench.sees(&[
            "embed/1 text onnx-text model.onnx +1_Pooling_config.json +model.onnx +tokenizer.json",
        ]);

        bench.write("embed/1/1_Pooling_config.json", "{}");
        bench.sees(&["embed/1 faulty: 1_Pooling_config.json is in it twice"]);
        fs::remove_dir_all(bench.root().join("embed/1/1_Pooling")).unwrap();
        fs::remove_file(bench.root().join("embed/1/tokenizer.json")).unwrap();
        bench.sees(&["embed/1 onnx onnx model.onnx +1_Pooling_config.json +model.onnx"]);
    });
}

const ONNX: &[u8] = b"\x08\x08\x12\x07skl2onnx";
const XGBOOST: &str = "{\"learner\": {}}";

#[test]
fn model_files_are_given_to_their_runtime() {
    everywhere(|mut bench| {
        bench.write("rent.onnx", ONNX);
        bench.write("churn.json", XGBOOST);
        bench.write("notes.txt", "no model");
        bench.write("list.json", "[1, 2]");
        bench.write("price/1/model.ONNX", ONNX);
        bench.write("price/1/metadata.json", "{}");
        bench.write("price/1/golden.json", "{}");
        bench.write("price/2/model.json", XGBOOST);
        bench.write("trees/1/model.trees.json", "{\"format\": \"wardian-trees\"}");
        let aspired = bench.sees(&[
            "churn/1 tabular xgboost-json model.json +model.json",
            "price/1 onnx onnx model.ONNX +metadata.json +model.ONNX golden",
            "price/2 tabular xgboost-json model.json +model.json",
            "rent/1 onnx onnx model.onnx +model.onnx",
            "trees/1 tabular wardian-trees model.trees.json +model.trees.json",
        ]);
        let Observed::Candidate(rent) = &aspired.observed[3] else { panic!() };
        assert_eq!((rent.component_size, rent.size()), (0, ONNX.len() as u64));
        assert_eq!(rent.sidecars[0].file.path(), Path::new("rent.onnx"));

        bench.write("rent.onnx", [ONNX, b"2"].concat());
        bench.write("churn.json", "{}");
        bench.sees(&[
            "price/1 onnx",
            "price/2 tabular",
            "rent/2 onnx onnx model.onnx +model.onnx",
            "trees/1 tabular",
        ]);
    });
}

#[test]
fn files_that_cannot_be_served_are_reported_with_what_to_do() {
    everywhere(|mut bench| {
        bench.write("a/1/model.wasm", component('a'));
        bench.write("a/1/model.json", XGBOOST);
        bench.write("b/1/model.onnx", ONNX);
        bench.write("b/1/model.txt", "tree\n");
        bench.write("c/1/model.onnx", b"\x80\x04\x95\x14\0\0\0\0\0\0\0");
        bench.write("d/1/model.pkl", "");
        bench.write("e.onnx", ONNX);
        bench.write("e/1/model.onnx", ONNX);
        bench.write("f.joblib", "");
        bench.write("g.h5", "");
        bench.write("h/1/h.onnx", ONNX);
        bench.write("i.json", XGBOOST);
        bench.write("i.pkl", "");
        bench.sees(&[
            "a/1 faulty: both model.wasm and model.json are in it",
            "b/1 faulty: model.onnx and model.txt are all model files",
            "c/1 faulty: model.onnx: it is a Python pickle; a pickle runs code when it is opened",
            "d/1 faulty: no model.wasm or model file in it yet; model.pkl is a Python pickle; a pickle runs",
            "e faulty: both e.onnx and e/ exist; remove one of them",
            "f faulty: f.joblib: it is a Python pickle; a pickle runs code when it is opened",
            "g faulty: g.h5: it is a Keras model; export it to ONNX",
            "h/1 faulty: no model.wasm or model file in it yet; rename h.onnx to model.onnx",
            "i/1 tabular xgboost-json",
        ]);
    });
}

#[test]
fn another_runtime_makes_another_candidate() {
    let toy = |salt| toy_runtime("toy", salt);
    everywhere(|mut bench| {
        bench.write("a/1/model.toy", "toy");
        bench.write("b.toy", "toy");
        bench.sees(&["a/1 faulty: no model.wasm or model file in it yet"]);

        bench.runtimes.replace(catalog(toy(0)));
        let first = bench.sees(&["a/1 toy toy model.toy", "b/1 toy toy model.toy"]);
        bench.runtimes.replace(catalog(toy(1)));
        let digests = |aspired: &AspiredVersions| {
            let digest = |seen: &Observed| match seen {
                Observed::Candidate(candidate) => Some(candidate.digest),
                _ => None,
            };
            aspired.observed.iter().map(digest).collect::<Vec<_>>()
        };
        bench.until("another identity", |aspired| {
            digests(aspired).iter().zip(digests(&first)).all(|(now, before)| *now != before)
        });

        bench.runtimes.replace(catalog(toy_runtime("other", 0)));
        bench.sees(&["a/1 other toy model.toy", "b/1 other toy model.toy"]);
    });
}

#[test]
fn unexpected_entries_do_no_harm() {
    everywhere(|mut bench| {
        bench.write("iris/1/model.wasm", component('a'));
        bench.write("my model.wasm", component('z'));
        bench.write("iris/one/model.wasm", component('z'));
        bench.write("iris/01/model.wasm", component('z'));
        bench.write("iris/1/folder/file", "x");
        fifo(&bench.root().join("iris/1/pipe"));
        fifo(&bench.root().join("pipe"));
        fifo(&bench.root().join("queue.wasm"));
        fs::create_dir_all(bench.root().join("fifo/1")).unwrap();
        fifo(&bench.root().join("fifo/1/model.wasm"));
        fs::create_dir(bench.root().join("void")).unwrap();
        bench.sees(&[
            "fifo/1 faulty: model.wasm: not a regular file",
            "iris/1 a",
            "queue faulty: queue.wasm: not a regular file",
        ]);
    });
}

#[test]
fn only_links_within_the_root_are_followed() {
    everywhere(|mut bench| {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("model.wasm"), component('z')).unwrap();
        bench.write(".store/model.wasm", component('a'));
        fs::create_dir_all(bench.root().join("sidecar/1")).unwrap();
        bench.write("sidecar/1/model.wasm", component('b'));
        let link = |to: &Path, name: &str| symlink(to, bench.root().join(name)).unwrap();
        link(Path::new(".store/model.wasm"), "inside.wasm");
        link(&outside.path().join("model.wasm"), "leaves.wasm");
        link(outside.path(), "folder");
        link(Path::new("/etc/passwd"), "sidecar/1/secret");
        link(Path::new("/etc/hostname"), "notes.txt");
        bench.sees(&[
            "folder faulty: folder: a link that leaves the repository",
            "inside/1 a",
            "leaves faulty: leaves.wasm: a link that leaves the repository",
            "sidecar/1 faulty: secret: a link that leaves the repository",
        ]);
    });
}

// === Changes ===

#[test]
fn a_slow_copy_is_not_complete_before_its_end() {
    everywhere(|mut bench| {
        let content = component('a');
        let mut file = File::create(bench.root().join("iris.wasm")).unwrap();
        bench.sees(&["iris faulty: iris.wasm: the file is empty"]);
        for half in content.chunks(content.len() / 2 - 1) {
            bench.until("the part before it", |aspired| {
                !shape(aspired).iter().any(|line| line == "iris/1 a")
            });
            file.write_all(half).unwrap();
        }
        bench.sees(&["iris/1 a"]);
        file.set_len(content.len() as u64 - 1).unwrap();
        bench.sees(&["iris faulty: iris.wasm: truncated: "]);
    });
}

#[test]
fn every_way_to_replace_a_file_is_detected() {
    everywhere(|mut bench| {
        let path = bench.root().join("iris.wasm");
        bench.write("iris.wasm", component('a'));
        bench.sees(&["iris/1 a"]);

        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        bench.write("iris.wasm", component('b'));
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_times(FileTimes::new().set_modified(modified))
            .unwrap();
        bench.sees(&["iris/2 b"]);

        bench.write(".new", component('c'));
        fs::rename(bench.root().join(".new"), &path).unwrap();
        bench.sees(&["iris/3 c"]);

        fs::remove_file(&path).unwrap();
        bench.write("iris.wasm", component('d'));
        bench.sees(&["iris/4 d"]);

        fs::remove_file(&path).unwrap();
        bench.sees(&[]);
        bench.write("iris.wasm", component('d'));
        bench.sees(&["iris/4 d"]);
    });
}

#[test]
fn version_numbers_survive_a_restart() {
    everywhere(|mut bench| {
        bench.write("iris.wasm", component('a'));
        bench.sees(&["iris/1 a"]);
        bench.write("iris.wasm", component('b'));
        bench.sees(&["iris/2 b"]);
        let mut bench = bench.restarted();
        bench.sees(&["iris/2 b"]);
        bench.write("iris.wasm", component('a'));
        bench.sees(&["iris/3 a"]);
    });
}

#[test]
fn versions_and_settings_come_and_go() {
    everywhere(|mut bench| {
        bench.write("iris/1/model.wasm", component('a'));
        let before = bench.sees(&["iris/1 a"]);
        bench.write("iris/2/model.wasm", component('b'));
        bench.sees(&["iris/1 a", "iris/2 b"]);
        bench.write("iris/model.toml", "[limits]\nmemory = '1MiB'");
        let limited = bench.until(
            "the limit",
            |aspired| matches!(&aspired.observed[..], [Observed::Candidate(one), _] if one.settings.limits.memory == 1 << 20),
        );
        let digest = |aspired: &AspiredVersions| match &aspired.observed[0] {
            Observed::Candidate(candidate) => candidate.digest,
            other => panic!("{other:?}"),
        };
        assert_ne!(digest(&before), digest(&limited));
        bench.write("iris/model.toml", "versions = 'all'");
        let all = bench.until("the default limit", |aspired| {
            matches!(&aspired.observed[..], [Observed::Candidate(one), Observed::Candidate(_)] if one.settings.versions == VersionPolicy::All)
        });
        assert_eq!(digest(&before), digest(&all));
        fs::remove_dir_all(bench.root().join("iris/1")).unwrap();
        bench.sees(&["iris/2 b"]);
        fs::rename(bench.root().join("iris"), bench.root().join("rose")).unwrap();
        bench.sees(&["rose/2 b"]);
        bench.write("rose/3/model.wasm", component('c'));
        bench.sees(&["rose/2 b", "rose/3 c"]);
        fs::remove_dir_all(bench.root().join("rose")).unwrap();
        bench.sees(&[]);
    });
}

#[test]
fn a_kubernetes_swap_of_the_data_link_is_one_change() {
    everywhere(|mut bench| {
        let root = bench.root();
        bench.write("..2026_11/iris.wasm", component('a'));
        symlink("..2026_11", root.join("..data")).unwrap();
        symlink("..data/iris.wasm", root.join("iris.wasm")).unwrap();
        bench.sees(&["iris/1 a"]);
        bench.write("..2026_12/iris.wasm", component('b'));
        symlink("..2026_12", root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        fs::remove_dir_all(root.join("..2026_11")).unwrap();
        bench.sees(&["iris/2 b"]);
    });
}

#[test]
fn a_missing_root_keeps_all_versions_and_a_recreated_one_is_accepted() {
    everywhere(|mut bench| {
        let away = bench.folder.path().join("away");
        bench.write("iris.wasm", component('a'));
        bench.write("rose/1/model.wasm", component('b'));
        bench.sees(&["iris/1 a", "rose/1 b"]);
        fs::rename(bench.root(), &away).unwrap();
        let degraded = bench.until("degraded", |aspired| aspired.degraded.is_some());
        assert_eq!(shape(&degraded), ["iris/1 a", "rose/1 b"]);
        fs::rename(&away, bench.root()).unwrap();
        bench.sees(&["iris/1 a", "rose/1 b"]);
        bench.write("rose/2/model.wasm", component('c'));
        bench.sees(&["iris/1 a", "rose/1 b", "rose/2 c"]);

        fs::rename(bench.root(), &away).unwrap();
        bench.until("degraded again", |aspired| aspired.degraded.is_some());
        fs::create_dir(bench.root()).unwrap();
        bench.sees(&[]);
        bench.write("lily.wasm", component('d'));
        bench.sees(&["lily/1 d"]);
    });
}

#[test]
fn a_root_may_be_created_after_the_start() {
    for watch in [WatchMode::Poll, WatchMode::Events, WatchMode::Auto] {
        let mut bench = Bench::over(tempfile::tempdir().unwrap(), watch);
        let degraded = bench.until("degraded", |aspired| aspired.degraded.is_some());
        assert!(!degraded.first_settled);
        bench.write("iris.wasm", component('a'));
        assert!(bench.sees(&["iris/1 a"]).first_settled);
    }
}

#[test]
fn a_hundred_files_at_once_all_arrive() {
    everywhere(|mut bench| {
        for number in 0..100 {
            bench.write(&format!("m{number:02}.wasm"), component('a'));
        }
        let lines: Vec<_> = (0..100).map(|number| format!("m{number:02}/1 a")).collect();
        bench.sees(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    });
}

// === Rescans and stopping ===

#[test]
fn a_rescan_waits_for_a_scan_that_began_after_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("models")).unwrap();
    let patient = DirectoryConfig {
        poll_interval: NEVER,
        settle: Duration::ZERO,
        ..config(folder.path(), WatchMode::Poll)
    };

    let directory = Directory::spawn(patient, &Runtimes::default()).unwrap();
    for label in 'a'..='z' {
        fs::write(folder.path().join(format!("models/{label}.wasm")), component(label)).unwrap();
        let answer = patiently(directory.rescan()).unwrap().unwrap();
        assert_eq!(shape(&answer).last(), Some(&format!("{label}/1 {label}")));
    }
}

#[test]
fn dropping_a_directory_ends_its_announcements() {
    let Bench { mut announced, directory, .. } = Bench::new(WatchMode::Auto);
    drop(directory);
    patiently(async { while announced.changed().await.is_ok() {} }).unwrap();
}

#[test]
fn a_sidecar_name_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let mut bench = Bench::new(WatchMode::Poll);
    bench.write("iris/1/model.wasm", component('a'));
    bench.sees(&["iris/1 a"]);
    let name = std::ffi::OsStr::from_bytes(b"weights-\xff.bin");
    fs::write(bench.root().join("iris/1").join(name), "x").unwrap();

    bench.sees(&[
        "iris/1 faulty: weights-\u{fffd}.bin: its name is not UTF-8 text, so no model can open it; rename it",
    ]);
}

#[test]
fn unreadable_version_numbers_degrade_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::create_dir(folder.path().join("models")).unwrap();
    fs::write(folder.path().join("models/iris.wasm"), component('a')).unwrap();
    fs::write(folder.path().join("state/versions.json"), "{").unwrap();
    let directory =
        Directory::spawn(config(folder.path(), WatchMode::Poll), &Runtimes::default()).unwrap();
    let mut announced = directory.subscribe();
    let degraded = patiently(announced.wait_for(|aspired| aspired.degraded.is_some()))
        .unwrap()
        .unwrap()
        .clone();

    let reason = degraded.degraded.clone().unwrap().reason;
    assert!(reason.contains("its version numbers cannot be read"), "{reason}");
    assert!(!reason.contains(&*folder.path().to_string_lossy()), "{reason}");
    assert_eq!(fs::read(folder.path().join("state/versions.json")).unwrap(), b"{");
    fs::remove_file(folder.path().join("state/versions.json")).unwrap();
    let whole = |aspired: &Arc<AspiredVersions>| {
        aspired.degraded.is_none() && shape(aspired) == ["iris/1 a"]
    };

    patiently(announced.wait_for(whole)).unwrap().unwrap();
}

#[test]
fn entries_of_a_model_can_be_looked_up() {
    let mut bench = Bench::new(WatchMode::Poll);
    bench.write("iris/1/model.wasm", component('a'));
    bench.write("iris/2/model.wasm", component('b'));
    bench.write("rose.wasm", component('c'));
    let aspired = bench.sees(&["iris/1 a", "iris/2 b", "rose/1 c"]);
    assert_eq!(aspired.for_model(&ModelName::new("iris").unwrap()).count(), 2);
}
