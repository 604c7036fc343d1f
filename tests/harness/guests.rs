//! The components that tests serve, as `cargo xtask guests` has built them.

use std::path::{Path, PathBuf};

/// A space for a script in a guest, see `tests/guests/README.md`.
struct Space {
    marker: &'static [u8],
    length: usize,
}

const PUPPET: Space = Space { marker: b"@@PUPPET-SCRIPT:", length: 240 };
const LEDGER: Space = Space { marker: b"@@LEDGER-SCRIPT:", length: 4080 };

/// The component of an example model or interceptor, or of a guest made for tests.
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

/// The folder of an example model's version 1, with its sidecar files.
pub(crate) fn guest_folder(name: &str) -> PathBuf {
    let folder = target().join("models").join(name).join("1");
    if folder.exists() { folder } else { not_built(name) }
}

/// The puppet with that script, such as `version=2;infer=trap`.
pub(crate) fn puppet(script: &str) -> Vec<u8> {
    scripted(guest("puppet"), &PUPPET, script)
}

/// The puppet that no snapshot can be taken of, with that script.
pub(crate) fn puppet_without_snapshot(script: &str) -> Vec<u8> {
    scripted(guest("puppet-no-snapshot"), &PUPPET, script)
}

/// The interceptor that does what that script says, such as `name=a;before=trap`.
pub(crate) fn gate(script: &str) -> Vec<u8> {
    scripted(guest("gate"), &PUPPET, script)
}

/// The ledger with that script, one line each for a migration and what else it does by itself.
pub(crate) fn ledger(script: &str) -> Vec<u8> {
    scripted(guest("ledger"), &LEDGER, script)
}

fn scripted(mut component: Vec<u8>, space: &Space, script: &str) -> Vec<u8> {
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
