//! Models of one component share its machine code, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{Models, Server, Setup, guest, guest_folder, scripted};

/// The artifacts of a server with that content: those of shared code, and all others.
fn artifacts(state: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let folders = fs::read_dir(state.join("artifacts/default")).unwrap();
    let folders = folders.map(|folder| folder.unwrap().path());
    folders.partition(|folder| {
        fs::read_to_string(folder.join("about.json")).unwrap().contains(r#""form":{"code":"#)
    })
}

/// The same component, which cannot be split: it defines a type that nothing uses.
fn whole(component: Vec<u8>) -> Vec<u8> {
    [component, vec![3, 4, 1, 0x60, 0, 0]].concat()
}

const EXAMPLES: [&str; 4] = ["house-price", "digits", "language-id", "chat"];

/// Every example model twice: as it is, and as one that must be compiled whole. Its golden requests
/// are answered when it is loaded.
fn examples(models: &Models) {
    for example in EXAMPLES {
        for name in [example.to_owned(), format!("{example}-whole")] {
            models.copy_folder(&guest_folder(example), &format!("{name}/1"));
            if example == "chat" {
                let settings = guest_folder(example).join("../model.toml");
                models.settings(&name, &fs::read_to_string(settings).unwrap());
            }
        }
        let component = models.path(&format!("{example}-whole/1/model.wasm"));
        fs::write(component, whole(guest(example))).unwrap();
    }
}

#[test]
fn a_component_answers_alike_split_and_whole() {
    let server = Server::with_models(examples).compiles_anew().start();
    for example in EXAMPLES {
        let [split, whole] = [example.to_owned(), format!("{example}-whole")].map(|name| {
            server.until_ready(&name, 1);
            let mut metadata = server.get(&format!("/v2/models/{name}")).ok().json();
            metadata["name"] = json!("");
            metadata
        });
        assert_eq!(split, whole);
    }
    let (code, others) = artifacts(&server.state());
    assert_eq!((code.len(), others.len()), (EXAMPLES.len(), 2 * EXAMPLES.len()));
}

/// Three models with equal code and different data.
const VERSIONS: [i64; 3] = [1, 2, 3];

fn three_models() -> Setup {
    Server::with_models(|models: &Models| {
        for version in VERSIONS {
            models.version(&format!("m{version}"), 1, scripted(&format!("version={version}")));
        }
    })
}

fn check_answers(server: &Server) {
    for version in VERSIONS {
        let name = format!("m{version}");
        server.until_ready(&name, 1);
        assert_eq!(server.version_of(&name), version);
    }
    let (code, others) = artifacts(&server.state());
    assert_eq!((code.len(), others.len()), (1, 3));
}

#[test]
fn models_of_one_code_answer_from_their_own_data() {
    let server = three_models().compiles_anew().start();
    check_answers(&server);
    check_answers(&server.stop().start());
}

#[test]
fn new_data_for_known_code_compiles_no_code() {
    let server = three_models().compiles_anew().start();
    check_answers(&server);
    let (code, _) = artifacts(&server.state());
    let made = || fs::metadata(code[0].join("model.cwasm")).unwrap().modified().unwrap();
    let before = made();

    server.models().version("m1", 2, scripted("version=7"));
    server.until_version_of("m1", 7);
    assert_eq!(made(), before);
}

#[test]
fn damaged_shared_code_is_made_again() {
    let server = three_models().compiles_anew().start();
    check_answers(&server);
    let setup = server.stop();
    let (code, _) = artifacts(&setup.state());
    let file = code[0].join("model.cwasm");
    let mut content = fs::read(&file).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::remove_file(&file).unwrap();
    fs::write(&file, content).unwrap();

    let server = setup.start();
    check_answers(&server);
    server.until_logged("removing a damaged artifact");
}
