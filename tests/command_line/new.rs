//! `wardian new`.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use super::{Output, folder, read, run, wardian};
use crate::harness::output_at_idle_priority;

/// Runs Cargo in the folder where guests are built. The SDK's dependencies are there already for
/// the same profile.
fn cargo(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(folder)
        .args(arguments)
        .env("CARGO_TARGET_DIR", workspace().join("target/guests"));
    command.args(["--profile", "guest", "--config", "profile.guest.inherits='release'"]);
    command.args(["--config", "profile.guest.debug='line-tables-only'"]);
    read(output_at_idle_priority(&mut command))
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Returns Cargo's name of this machine. Only builds that name their target share a folder with
/// builds for other targets.
fn this_machine() -> String {
    let output = run({
        let mut command = Command::new("rustc");
        command.current_dir(workspace()).arg("-vV");
        command
    });
    output.stdout.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

#[test]
fn a_new_crate_builds_and_passes_checks() {
    // The folder is always the same, so that its dependencies are not built again for each run.
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
    fs::create_dir_all(&place).unwrap();
    let alone = File::create(place.join("lock")).unwrap();
    alone.lock().unwrap();
    let demo = place.join("demo");
    let _ = fs::remove_dir_all(&demo);
    let output = wardian(&place, &["new", "demo"]).expect_code(0);
    output.expect_stdout(&[
        "created demo in demo; next",
        "\n  cd demo\n",
        "wardian check target/wasm32-wasip2/release/demo.wasm\n",
    ]);
    // The lock file pins the tested versions instead of the newest ones of the registry.
    fs::copy(workspace().join("Cargo.lock"), demo.join("Cargo.lock")).unwrap();
    cargo(&demo, &["test", "--target", &this_machine()])
        .expect_code(0)
        .expect_stdout(&["1 passed; 0 failed"]);
    cargo(&demo, &["build", "--target", "wasm32-wasip2"]).expect_code(0);
    let built = workspace().join("target/guests/wasm32-wasip2/guest/demo.wasm");
    wardian(&place, &["check", built.to_str().unwrap()])
        .expect_code(0)
        .expect_stdout(&["demo version 1: OK in ", "1 of 1 OK"]);
}

#[test]
fn the_target_folder_must_not_exist() {
    let folder = folder("", |_| {});
    let new = |arguments: &[&str]| wardian(folder.directory(), &[&["new"], arguments].concat());
    new(&["house-price", "--path", "some/where"])
        .expect_code(0)
        .expect_stdout(&["created house-price in some/where; ", "/house_price.wasm\n"]);
    assert!(folder.directory().join("some/where/vendor/wardian/sdk/src/lib.rs").exists());
    new(&["house-price", "--path", "some/where"])
        .expect_code(1)
        .expect_stderr(&["some/where exists already; choose another"]);
    new(&["House"]).expect_code(2).expect_stderr(&["lower-case letters"]);
    new(&["test"]).expect_code(2).expect_stderr(&["'test' is taken"]);
    new(&[]).expect_code(2).expect_stderr(&["Usage: wardian new"]);
}
