//! Stock clients, unmodified: NVIDIA's `tritonclient[http]`, and `sseclient-py` for answers in parts.

use std::path::Path;
use std::process::Command;

use crate::harness::{PYTHON, Server, guest, guest_folder};

#[test]
fn they_work_unmodified() {
    // `cargo xtask test` sets this up; a plain `cargo test` cannot.
    let Some(python) = std::env::var_os("WARDIAN_PYTHON") else {
        return PYTHON.skip("WARDIAN_PYTHON names no Python with tritonclient");
    };
    let server = Server::with_models(|models| {
        models.bare("iris", guest("iris"));
        for name in ["chat", "house-price", "upper"] {
            models.copy_folder(&guest_folder(name), &format!("{name}/1"));
        }
    })
    .start();
    server.until_tried();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut script = Command::new(python);
    script.arg(here.join("tests/stock_clients.py")).arg(server.address().to_string()).arg(here.join("guest-models"));
    let output = script.output().expect("the script starts");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", said(&output.stdout), said(&output.stderr));
    assert_eq!(said(&output.stdout).matches(": ok").count(), 7, "{}", said(&output.stdout));
}
