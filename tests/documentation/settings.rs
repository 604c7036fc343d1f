//! Settings, read by the program itself.

use std::path::Path;
use std::process::Command;

use super::page::{Block, Kind, Page};
use crate::egress::tls::certificate_of;
use crate::harness::{guest, guest_folder};

/// Runs the program on each sample file of a page.
pub(super) fn try_all(page: &Page) {
    for block in page.blocks(&Kind::Toml) {
        let place = page.place(block);
        let file = block
            .file
            .as_deref()
            .unwrap_or_else(|| panic!("{place}: no directive says which file this is"));
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        match file {
            "model.toml" | "config.toml" => {
                put("m/1/model.wasm", &guest("minimal"));
                put(&format!("m/{file}"), block.text.as_bytes());
                wardian(folder.path(), &["check", "m"], block, &place);
            }
            _ if file.ends_with("/model.toml") => {
                let model = file.trim_end_matches("/model.toml");
                for entry in std::fs::read_dir(guest_folder(model)).unwrap() {
                    let entry = entry.unwrap();
                    let name = entry.file_name().into_string().unwrap();
                    put(&format!("m/1/{name}"), &std::fs::read(entry.path()).unwrap());
                }
                put("m/model.toml", block.text.as_bytes());
                wardian(folder.path(), &["check", "m"], block, &place);
            }
            _ => {
                put(file, block.text.as_bytes());
                put("ca.pem", authority().as_bytes());
                wardian(folder.path(), &["serve", "--check-config"], block, &place);
            }
        }
    }
}

/// The certificate that a sample names `ca.pem`.
fn authority() -> String {
    let (_, _, authority) = certificate_of("ca.test");
    authority
}

fn wardian(folder: &Path, arguments: &[&str], block: &Block, place: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardian"));
    let output =
        command.current_dir(folder).args(arguments).env_remove("RUST_LOG").output().unwrap();
    assert!(
        output.status.success(),
        "{place}: the program does not take it\n{}\n{}{}",
        block.text,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}
