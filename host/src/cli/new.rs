//! `wardian new`.

mod files;
mod name;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{Outcome, output};
use files::{TEMPLATE, VENDORED};

/// Options of `wardian new`.
#[derive(Args)]
#[command(after_help = "\
The crate holds a small model with weights and a test, the SDK's sources, and a README with the next commands. \
It builds with rustup alone, anywhere.

Exit codes: 0 made, 1 it could not be made, 2 wrong usage.")]
pub(super) struct New {
    /// The name of the model and of its crate: lower-case letters, digits, '-' and '_'
    #[arg(value_parser = name::parse)]
    name: String,
    /// The folder to make, which must not exist yet [default: the name]
    #[arg(long, value_name = "DIRECTORY")]
    path: Option<PathBuf>,
}

impl New {
    pub(super) fn run(self) -> Result<Outcome> {
        let folder = self.path.unwrap_or_else(|| PathBuf::from(&self.name));
        create_folder(&folder)?;
        for (path, text) in TEMPLATE {
            write(&folder.join(path), &render_template(text, &self.name))?;
        }
        for (path, text) in VENDORED {
            write(&folder.join(path), text)?;
        }
        output::print(&next_steps(&self.name, &folder))?;
        Ok(Outcome::Success)
    }
}

/// Creates the folder. Fails if it exists, so that nothing is overwritten.
fn create_folder(folder: &Path) -> Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    match fs::create_dir(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!(
                "{} exists already; choose another name, or another folder with --path",
                folder.display()
            )
        }
        Err(error) => Err(error).with_context(|| format!("cannot create {}", folder.display())),
    }
}

fn render_template(text: &str, name: &str) -> String {
    let text = text.replace("{{name}}", name).replace("{{file}}", &name::file_stem(name));
    text.replace("{{version}}", env!("CARGO_PKG_VERSION"))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let written =
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn next_steps(name: &str, folder: &Path) -> Vec<String> {
    vec![
        format!("created {name} in {}; next, as its README says:", folder.display()),
        format!("  cd {}", folder.display()),
        "  cargo test".into(),
        "  cargo build --target wasm32-wasip2 --release".into(),
        format!("  wardian check target/wasm32-wasip2/release/{}.wasm", name::file_stem(name)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(name: &str, path: PathBuf) -> Result<Outcome> {
        New { name: name.into(), path: Some(path) }.run()
    }

    #[test]
    fn a_crate_is_made_with_nothing_left_to_fill_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some/where");
        make("house-price", path.clone()).unwrap();
        for (file, _) in TEMPLATE {
            assert!(!fs::read_to_string(path.join(file)).unwrap().contains("{{"), "{file}");
        }
        assert!(
            fs::read_to_string(path.join("README.md"))
                .unwrap()
                .contains("release/house_price.wasm")
        );
        assert!(
            fs::read_to_string(path.join("Cargo.toml")).unwrap().contains("name = \"house-price\"")
        );
    }

    #[test]
    fn an_existing_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let error = make("demo", folder.path().into()).map(drop).unwrap_err();
        assert!(error.to_string().contains("exists already"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
