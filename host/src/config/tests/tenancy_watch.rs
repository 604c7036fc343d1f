use std::path::PathBuf;
use std::time::Instant;

use super::super::tenancy_watch::TenancyWatcher;
use super::*;
use crate::model::Digest;
use crate::model::TenantName;
use crate::tenant::TenantConfigFaults;

/// A watched configuration, polled by the test.
struct Watched {
    folder: tempfile::TempDir,
    watcher: TenancyWatcher,
    updates: tokio::sync::watch::Receiver<Tenancy>,
    faults: TenantConfigFaults,
}

const QUICK: &str = "poll_interval = '10ms'\nsettle = '10ms'\n";

fn watch(host: &str, tenants: &[(&str, &str)]) -> Watched {
    watch_file(&format!("{QUICK}{host}"), tenants)
}

fn watch_file(host: &str, tenants: &[(&str, &str)]) -> Watched {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tenants")).unwrap();

    for (name, text) in tenants {
        fs::write(folder.path().join("tenants").join(name), text).unwrap();
    }

    let file = folder.path().join("wardian.toml");
    fs::write(&file, host).unwrap();

    let overrides = Overrides { config: Some(file), ..Overrides::default() };
    let (_, watched) = Config::resolve_and_watch(overrides).unwrap();
    let (sender, updates) = tokio::sync::watch::channel(watched.start.tenancy.clone());
    let faults = TenantConfigFaults::default();

    Watched {
        folder,
        watcher: TenancyWatcher::new(watched, sender, faults.clone()),
        updates,
        faults,
    }
}

impl Watched {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Polls until the condition is true.
    fn until(&mut self, is_reached: impl Fn(&Tenancy, &[String]) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_reached(&self.updates.borrow(), &self.faults.list()) {
            assert!(
                Instant::now() < deadline,
                "{:?} {:?}",
                self.updates.borrow(),
                self.faults.list()
            );
            self.watcher.poll(false);
            std::thread::yield_now();
        }
    }

    /// Waits until a fault contains these words; returns the tenants' names.
    fn until_refused(&mut self, words: &str) -> String {
        self.until(|_, faults| faults.iter().any(|fault| fault.contains(words)));
        self.names()
    }

    fn until_sound(&mut self) -> String {
        self.until(|_, faults| faults.is_empty());
        self.names()
    }

    fn until_names(&mut self, expected: &str) {
        self.until(|tenancy, _| names(tenancy) == expected);
    }

    fn until_weight(&mut self, name: &str, weight: u32) {
        self.until(|tenancy, _| {
            tenancy.tenants.get(name).is_some_and(|tenant| tenant.weight == weight)
        });
    }

    fn names(&self) -> String {
        names(&self.updates.borrow())
    }
}

fn names(tenancy: &Tenancy) -> String {
    tenancy.tenants.keys().map(TenantName::as_str).collect::<Vec<_>>().join(" ")
}

fn keys() -> String {
    format!("keys = [{{ id = 'k', sha256 = '{}', scopes = ['infer'] }}]", Digest::sha256(b"k"))
}

#[test]
fn files_come_change_and_go() {
    let mut watched = watch("[tenants.a]", &[("b.toml", "")]);
    watched.write("tenants/c.toml", "weight = 3");
    watched.until_names("a b c");
    watched.write("tenants/b.toml", "weight = 2");
    watched.until_weight("b", 2);
    watched.write("wardian.toml", &format!("{QUICK}[tenants.a]\nweight = 5"));
    watched.until_weight("a", 5);
    fs::remove_file(watched.path("tenants/b.toml")).unwrap();
    watched.until_names("a c");
    assert!(watched.faults.list().is_empty());
}

#[test]
fn faulty_file_is_rejected_and_its_previous_content_stays() {
    let mut watched = watch("", &[("a.toml", "weight = 2"), ("b.toml", "")]);
    watched.write("tenants/a.toml", "weight = 3\nwieght = 4");
    watched.write("tenants/c.toml", "what");
    watched.until_refused("c.toml line 1");
    watched.until_refused("a.toml line 2: wieght: unknown key");
    assert_eq!(watched.updates.borrow().tenants["a"].weight, 2);
    watched.write("tenants/b.toml", "weight = 9");
    watched.until_weight("b", 9);
    assert_eq!(watched.names(), "a b");
    watched.write("tenants/a.toml", "weight = 3");
    watched.write("tenants/c.toml", "");
    watched.until_weight("a", 3);
    assert_eq!(watched.until_sound(), "a b c");
}

#[test]
fn faulty_host_file_is_rejected() {
    let mut watched = watch("[tenants.a]", &[]);
    watched.write("wardian.toml", "[tenants.b]\nx = 1");
    assert_eq!(watched.until_refused("line 2: tenants.b.x"), "a");
    fs::remove_file(watched.path("wardian.toml")).unwrap();
    assert_eq!(watched.until_refused("wardian.toml: it is gone"), "a");
    watched.write("wardian.toml", "[tenants.b]\n");
    watched.until_names("b");
    assert!(watched.faults.list().is_empty());
}

#[test]
fn conflicts_change_nothing() {
    let mut watched = watch("[tenants.a]", &[("b.toml", "weight = 2")]);
    watched.write("tenants/a.toml", "");
    assert_eq!(watched.until_refused("tenant 'a' is there already"), "a b");
    watched.write("tenants/b.toml", "weight = 3");
    watched.write("tenants/c.toml", "faulty");
    watched.until_refused("c.toml line 1");
    watched.until_refused("tenant 'a' is there already");
    assert_eq!(watched.updates.borrow().tenants["b"].weight, 2);
    watched.write("wardian.toml", QUICK);
    watched.until_weight("b", 3);
    assert_eq!(watched.names(), "a b");
}

#[test]
fn file_that_turns_faulty_after_a_conflict_reverts_to_the_content_in_force() {
    let mut watched = watch("[tenants.a]\nrepository = '/x'", &[("b.toml", "weight = 2")]);
    watched.write("tenants/b.toml", "weight = 3\nrepository = '/x'");
    watched.until_refused("is also that of 'a'");
    watched.write("tenants/b.toml", "weight =");
    watched.until_refused("b.toml line 1");
    watched.write("tenants/c.toml", "");
    watched.until_names("a b c");
    assert_eq!(watched.updates.borrow().tenants["b"].weight, 2);
}

#[test]
fn folder_that_vanishes_removes_no_tenant() {
    let mut watched = watch("", &[("a.toml", ""), ("b.toml", "")]);
    let (folder, aside) = (watched.path("tenants"), watched.path("aside"));

    fs::rename(&folder, &aside).unwrap();
    assert_eq!(watched.until_refused("its tenants stay as they are"), "a b");
    watched.write("tenants", "no folder");
    assert_eq!(watched.until_refused("not a directory"), "a b");
    fs::remove_file(&folder).unwrap();
    fs::remove_file(aside.join("b.toml")).unwrap();
    fs::rename(&aside, &folder).unwrap();
    watched.until_names("a");
    assert!(watched.faults.list().is_empty());
}

#[test]
fn last_key_stays_while_other_machines_can_reach_the_server() {
    let mut watched = watch("listen = '0.0.0.0:1'", &[("a.toml", &keys())]);
    watched.write("tenants/a.toml", "weight = 2");
    watched.until_refused("no keys are configured");
    assert!(watched.updates.borrow().requires_keys());
    watched.write("wardian.toml", &format!("{QUICK}listen = '127.0.0.1:1'"));
    // It still listens on the first address.
    watched.until_refused("other machines could reach 0.0.0.0:1");
    fs::remove_file(watched.path("tenants/a.toml")).unwrap();
    watched.until_refused("no keys are configured");
    assert!(watched.updates.borrow().requires_keys());
}

#[test]
fn last_key_stays_on_loopback_unless_the_file_says_insecure() {
    let mut watched = watch("", &[("a.toml", &keys()), ("b.toml", "")]);
    watched.write("tenants/a.toml", "weight = 2");
    watched.until_refused("no keys are configured any more");
    assert!(watched.updates.borrow().requires_keys());
    watched.write("wardian.toml", &format!("{QUICK}insecure = true"));
    watched.until(|tenancy, faults| !tenancy.requires_keys() && faults.is_empty());
    watched.write("wardian.toml", QUICK);
    watched.write("tenants/a.toml", "weight = 3");
    watched.until_weight("a", 3);
}

#[test]
fn without_tenants_the_default_tenant_returns() {
    let mut watched = watch("", &[("a.toml", "")]);
    fs::remove_file(watched.path("tenants/a.toml")).unwrap();
    watched.until_names("default");
    watched.write("wardian.toml", &format!("{QUICK}models = 'm'"));

    let models = watched.path("m").into();
    watched.until(|tenancy, _| tenancy.tenants["default"].repository == models);
}

#[test]
fn file_counts_once_settled_or_at_once_after_a_hangup() {
    let mut watched = watch_file("settle = '1h'", &[]);
    assert_eq!(watched.names(), "default");
    watched.write("tenants/a.toml", "");
    watched.watcher.poll(false);
    watched.watcher.poll(false);
    assert_eq!(watched.names(), "default");
    watched.watcher.poll(true);
    assert_eq!(watched.names(), "a");
    fs::remove_file(watched.path("tenants/a.toml")).unwrap();
    watched.watcher.poll(false);
    assert_eq!(watched.names(), "a");
    watched.watcher.poll(true);
    assert_eq!(watched.names(), "default");
}

#[test]
fn unchanged_settings_are_not_announced() {
    let mut watched = watch("", &[("a.toml", "")]);
    watched.write("tenants/a.toml", "# a comment");
    watched.watcher.poll(true);
    watched.write("wardian.toml", &format!("{QUICK}drain_timeout = '1s'"));
    watched.watcher.poll(true);
    assert!(!watched.updates.has_changed().unwrap());
    assert_eq!(watched.until_sound(), "a");
}

#[tokio::test]
async fn watch_reports_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wardian.toml");

    fs::write(&file, QUICK).unwrap();

    let overrides = Overrides { config: Some(file.clone()), ..Overrides::default() };
    let (_, watched) = Config::resolve_and_watch(overrides).unwrap();
    let mut watch = TenancyWatch::start(watched);

    fs::create_dir(folder.path().join("tenants")).unwrap();
    fs::write(folder.path().join("tenants/a.toml"), "").unwrap();

    let next = tokio::time::timeout(Duration::from_secs(30), watch.next()).await.unwrap();
    assert_eq!(names(&next), "a");
    assert!(watch.faults().list().is_empty());
}

#[tokio::test]
async fn hangup_rereads_the_files_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wardian.toml");

    fs::write(&file, "poll_interval = '1h'\nrescan_interval = '1h'\nsettle = '1h'").unwrap();

    let overrides = Overrides { config: Some(file.clone()), ..Overrides::default() };
    let (_, watched) = Config::resolve_and_watch(overrides).unwrap();
    let mut watch = TenancyWatch::start(watched);

    fs::write(&file, "[tenants.a]").unwrap();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();

    let next = tokio::time::timeout(Duration::from_secs(30), watch.next()).await.unwrap();
    assert_eq!(names(&next), "a");
}
