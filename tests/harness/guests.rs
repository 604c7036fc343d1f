//! The components that tests serve, as built by `cargo xtask guests`.

use std::path::{Path, PathBuf};

/// The space for a script in a guest, see `tests/guests/README.md`.
struct Space {
    marker: &'static [u8],
    length: usize,
}

const SCRIPTED: Space = Space { marker: b"@@SCRIPT-START@@", length: 240 };
const SQL_STEPS: Space = Space { marker: b"@@SCRIPT-START@@", length: 4080 };

/// Returns the component of an example model, an example interceptor or a test guest.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let target = target();
    let places = [
        target.join(format!("test-guests/{name}.wasm")),
        target.join(format!("interceptors/{name}.wasm")),
        target.join(format!("models/{name}.wasm")),
        target.join(format!("models/{name}/1/model.wasm")),
    ];
    let built = places.iter().find(|place| place.exists());
    read(built.unwrap_or_else(|| not_built(name)))
}

/// Returns the folder of an example model's version 1, with its sidecar files.
pub(crate) fn guest_folder(name: &str) -> PathBuf {
    let folder = target().join("models").join(name).join("1");
    if folder.exists() { folder } else { not_built(name) }
}

/// Returns the scripted model with a script, such as `version=2;infer=trap`.
pub(crate) fn scripted(script: &str) -> Vec<u8> {
    patched(guest("scripted"), &SCRIPTED, script)
}

/// Returns the scripted model that cannot be snapshotted, with a script.
pub(crate) fn scripted_without_snapshot(script: &str) -> Vec<u8> {
    patched(guest("scripted-no-snapshot"), &SCRIPTED, script)
}

/// Returns the scripted interceptor with a script, such as `name=a;before=trap`.
pub(crate) fn scripted_interceptor(script: &str) -> Vec<u8> {
    patched(guest("scripted-interceptor"), &SCRIPTED, script)
}

/// Returns the runtime for `.factor` files with a script: a number to add, or `fail`.
pub(crate) fn multiplier(script: &str) -> Vec<u8> {
    patched(guest("multiplier"), &SCRIPTED, script)
}

/// Returns the SQL guest with a script: one line for each migration, and one for each setting.
pub(crate) fn sql_steps(script: &str) -> Vec<u8> {
    patched(guest("sql-steps"), &SQL_STEPS, script)
}

fn patched(mut component: Vec<u8>, space: &Space, script: &str) -> Vec<u8> {
    let Space { marker, length } = space;
    assert!(script.len() <= *length, "the script is longer than {length} bytes: {script}");
    let found = component.windows(marker.len()).position(|window| window == *marker);
    let start = found.expect("the guest holds the marker") + marker.len();
    let place = &mut component[start..start + length];
    place.fill(b' ');
    place[..script.len()].copy_from_slice(script.as_bytes());
    component
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

fn not_built(name: &str) -> ! {
    panic!("the guest '{name}' is not built; run `cargo xtask guests` first")
}
