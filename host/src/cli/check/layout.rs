//! Classifies the path of a check, and copies it into a temporary repository.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::engine::compile::validate::read_surface;
use crate::model::{ModelName, Version};
use crate::repository::check_whole;

/// The kind of a path, by the files that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum PathKind {
    /// A component file.
    Bare,
    /// A folder with a component called `model.wasm`.
    Version,
    /// A folder with numbered versions, or with settings for them.
    Model,
    /// A folder of models.
    Repository,
}

const COMPONENT: &str = "model.wasm";
const SETTINGS: &str = "model.toml";

/// Returns the kind of a path, and the path without links. A file called `model.wasm` stands for
/// its version. Fails if the path holds nothing that could be served.
pub(in crate::cli) fn classify(path: &Path) -> Result<(PathKind, PathBuf)> {
    let unreadable = || format!("cannot read {}", path.display());
    let real = path.canonicalize().with_context(unreadable)?;

    if real.is_dir() {
        let kind = folder_kind(&real).with_context(unreadable)?;
        ensure!(
            kind != PathKind::Repository || !real.join("Cargo.toml").exists(),
            crate_hint(path)
        );
        return Ok((kind, real));
    }
    if !real.is_file() || real.extension().is_none_or(|extension| extension != "wasm") {
        bail!("{} is neither a .wasm file nor a folder: {}", path.display(), describe_file(&real));
    }

    match real.parent() {
        Some(folder) if real.ends_with(COMPONENT) => Ok((PathKind::Version, folder.to_owned())),
        _ => Ok((PathKind::Bare, real)),
    }
}

/// Describes a file that cannot be a model under its name.
fn describe_file(file: &Path) -> String {
    let checked = fs::File::open(file).and_then(|opened| {
        let length = opened.metadata()?.len();
        Ok(check_whole(opened, length))
    });
    match checked {
        Ok(Ok(())) => "it is a component; rename it so that it ends in .wasm".into(),
        Ok(Err(why)) => why.to_string(),
        Err(error) => format!("it cannot be read: {error}"),
    }
}

fn crate_hint(path: &Path) -> String {
    format!(
        "{} is a crate and not a model; build it with `cargo build --target wasm32-wasip2 --release` and name the \
         .wasm file in its target/wasm32-wasip2/release",
        path.display()
    )
}

fn folder_kind(path: &Path) -> io::Result<PathKind> {
    if path.join(COMPONENT).exists() {
        return Ok(PathKind::Version);
    }
    let mut model = path.join(SETTINGS).exists();
    for entry in fs::read_dir(path)? {
        model |= Version::parse(&entry?.file_name().to_string_lossy()).is_some();
    }
    Ok(if model { PathKind::Model } else { PathKind::Repository })
}

/// The name of a model by its file or folder. It may be empty.
pub(in crate::cli) fn model_name_of(path: &Path) -> String {
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// Copies the component, version or model at `path` into the empty repository `root`. A name that
/// no model may have becomes `model`.
pub(in crate::cli) fn lay_out(kind: PathKind, path: &Path, root: &Path) -> Result<()> {
    let interceptors = root.join("interceptors");
    let root = if is_interceptor(kind, path) { interceptors.as_path() } else { root };
    let made = fs::create_dir_all(root);
    made.with_context(|| format!("cannot create {}", root.display()))?;
    let copied = match kind {
        PathKind::Bare => {
            fs::copy(path, root.join(format!("{}.wasm", name_or_model(path)))).map(drop)
        }
        PathKind::Version => lay_out_version(path, root),
        PathKind::Model => lay_out_model(path, &root.join(name_or_model(path))),
        PathKind::Repository => Ok(()),
    };

    copied.with_context(|| format!("cannot copy {} to a temporary directory", path.display()))
}

/// True if the component is an interceptor, which would be refused among the models.
fn is_interceptor(kind: PathKind, path: &Path) -> bool {
    let component = match kind {
        PathKind::Bare => path.to_owned(),
        PathKind::Version => path.join(COMPONENT),
        PathKind::Model => match versions(path).first() {
            Some(version) => version.join(COMPONENT),
            None => return false,
        },
        PathKind::Repository => return false,
    };
    // A file that cannot be read, or is no component, is reported by the scan.
    let read = fs::read(component).ok();

    read.and_then(|bytes| read_surface(&bytes).ok()).is_some_and(|surface| surface.is_interceptor())
}

fn versions(model: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(model).into_iter().flatten().flatten();
    let numbered =
        entries.filter(|entry| Version::parse(&entry.file_name().to_string_lossy()).is_some());
    numbered.map(|entry| entry.path()).collect()
}

fn name_or_model(path: &Path) -> String {
    let named = ModelName::new(&model_name_of(path)).ok().filter(|name| !name.is_reserved());
    named.map_or("model".into(), |name| name.to_string())
}

/// Copies a version. A folder whose name is a number lies in its model's folder, which may hold
/// settings.
fn lay_out_version(path: &Path, root: &Path) -> io::Result<()> {
    let numbered = Version::parse(&model_name_of(path));
    let parent = path.parent().unwrap_or(path);

    let model = root.join(name_or_model(if numbered.is_some() { parent } else { path }));
    let version = model.join(numbered.map_or("1".into(), |version| version.to_string()));

    fs::create_dir_all(&version)?;
    if numbered.is_some() && parent.join(SETTINGS).exists() {
        copy(&parent.join(SETTINGS), &model.join(SETTINGS), parent)?;
    }
    lay_out_files(path, &version, parent)
}

fn lay_out_model(path: &Path, model: &Path) -> io::Result<()> {
    fs::create_dir_all(model)?;
    let inside = path.parent().unwrap_or(path);

    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let from = entry.path();
        let to = model.join(entry.file_name());
        let numbered = Version::parse(&entry.file_name().to_string_lossy()).is_some();
        match () {
            () if numbered && from.is_dir() => {
                fs::create_dir(&to)?;
                lay_out_files(&from.canonicalize()?, &to, inside)?;
            }
            () if numbered || entry.file_name() == SETTINGS => copy(&from, &to, inside)?,
            // Only their names matter: the scan warns of some.
            () if from.is_dir() => fs::create_dir(&to)?,
            () => fs::write(&to, "")?,
        }
    }
    Ok(())
}

fn lay_out_files(from: &Path, to: &Path, inside: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()), inside)?;
    }
    Ok(())
}

/// Copies a file, or creates a folder of that name without its files. Links are followed if a
/// repository at `inside` would follow them. A link that must not be followed becomes one that
/// leads out, which the scan reports.
fn copy(from: &Path, to: &Path, inside: &Path) -> io::Result<()> {
    let real = from.canonicalize().ok().filter(|real| real.starts_with(inside));
    match real.and_then(|real| Some((fs::metadata(&real).ok()?, real))) {
        Some((metadata, real)) if metadata.is_file() => fs::copy(real, to).map(drop),
        Some((metadata, _)) if metadata.is_dir() => fs::create_dir(to),
        _ => symlink(from, to),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A folder with these files. A name with a slash at its end is an empty folder.
    fn folder(files: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if file.ends_with('/') {
                fs::create_dir_all(path).unwrap()
            } else {
                fs::write(path, file).unwrap()
            }
        }
        (folder, root)
    }

    #[test]
    fn a_path_is_classified_by_its_files() {
        let files = [
            "a.wasm",
            "m/1/model.wasm",
            "m/1/x.bin",
            "s/model.toml",
            "v/model.wasm",
            "e/",
            "a.txt",
            "c/Cargo.toml",
        ];
        let (_folder, root) = folder(&files);
        for (path, expected) in [
            ("a.wasm", PathKind::Bare),
            ("m/1", PathKind::Version),
            ("v", PathKind::Version),
            ("m", PathKind::Model),
            ("s", PathKind::Model),
            ("e", PathKind::Repository),
            ("", PathKind::Repository),
        ] {
            assert_eq!(classify(&root.join(path)).unwrap(), (expected, root.join(path)), "{path}");
        }
        assert_eq!(
            classify(&root.join("v/model.wasm")).unwrap(),
            (PathKind::Version, root.join("v"))
        );
        for (path, says) in [
            ("a.txt", "neither"),
            ("a.txt", "text, not WebAssembly"),
            ("absent", "cannot read"),
            ("c", "is a crate"),
        ] {
            let error = classify(&root.join(path)).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_version_takes_its_name_and_settings_from_its_model() {
        let (_folder, root) = folder(&[
            "m/2/model.wasm",
            "m/2/x.bin",
            "m/model.toml",
            "loose/model.wasm",
            "to/",
            "to2/",
        ]);
        lay_out(PathKind::Version, &root.join("m/2"), &root.join("to")).unwrap();
        for file in ["m/2/model.wasm", "m/2/x.bin", "m/model.toml"] {
            assert!(root.join("to").join(file).exists(), "{file}");
        }
        lay_out(PathKind::Version, &root.join("loose"), &root.join("to2")).unwrap();
        assert!(root.join("to2/loose/1/model.wasm").exists());
    }

    #[test]
    fn links_are_followed_within_the_repository_only() {
        let (_folder, root) = folder(&["models/m/1/", "models/shared.bin", "secret", "to/"]);
        symlink("../../shared.bin", root.join("models/m/1/model.wasm")).unwrap();
        symlink(root.join("secret"), root.join("models/m/1/weights")).unwrap();
        lay_out(PathKind::Model, &root.join("models/m"), &root.join("to")).unwrap();
        assert!(!root.join("to/m/1/model.wasm").is_symlink());
        assert!(root.join("to/m/1/weights").is_symlink());
    }
}
