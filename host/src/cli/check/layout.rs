//! Classifies the path of a check, and copies it into a temporary repository.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::engine::compile::validate::read_surface;
use crate::model::{ModelName, Version};
use crate::repository::{
    FileKind, RuntimeCatalog, check_whole, kind_by_name, model_file_name, split_extension,
};

/// The kind of a path, by the files that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum PathKind {
    /// A component file.
    Bare,
    /// A file that was meant as a model, and is not WebAssembly.
    ModelFile,
    /// A folder with a component called `model.wasm`, or with a model file.
    Version,
    /// A folder with numbered versions, or with settings for them.
    Model,
    /// A folder of models.
    Repository,
}

const COMPONENT: &str = "model.wasm";
const SETTINGS: &str = "model.toml";
const GOLDEN: &str = "golden.json";
const SAVED_METADATA: &str = "metadata.json";
/// The name of a model file in a version's folder, without its extension.
const MODEL: &str = "model";

/// Returns the kind of a path, and the path without links. A file called `model.wasm` stands for
/// its version, and so does a model file in a version's folder. Fails if the path holds nothing
/// that could be served.
pub(in crate::cli) fn classify(
    path: &Path,
    runtimes: &RuntimeCatalog,
) -> Result<(PathKind, PathBuf)> {
    let unreadable = || format!("cannot read {}", path.display());
    let real = path.canonicalize().with_context(unreadable)?;

    if real.is_dir() {
        let kind = folder_kind(&real, runtimes).with_context(unreadable)?;
        ensure!(
            kind != PathKind::Repository || !real.join("Cargo.toml").exists(),
            crate_hint(path)
        );
        return Ok((kind, real));
    }
    if !real.is_file() || real.extension().is_none_or(|extension| extension != "wasm") {
        if real.is_file() && is_model_file(&real, runtimes) {
            return Ok(classify_model_file(real, runtimes));
        }
        let what = describe_file(&real);
        bail!("{} is neither a model file nor a .wasm file nor a folder: {what}", path.display());
    }

    match real.parent() {
        Some(folder) if real.ends_with(COMPONENT) => Ok((PathKind::Version, folder.to_owned())),
        _ => Ok((PathKind::Bare, real)),
    }
}

/// True for a file that was meant as a model by its name, whether or not it can be served.
fn is_model_file(file: &Path, runtimes: &RuntimeCatalog) -> bool {
    let name = name_of(file);
    let is_model = |kind: FileKind| kind.format().is_some() || kind.is_refused_model();
    split_extension(&name, runtimes).is_some() || kind_by_name(&name).is_some_and(is_model)
}

/// A model file stands for its version if it lies in one. Other files beside it are none of its.
fn classify_model_file(file: PathBuf, runtimes: &RuntimeCatalog) -> (PathKind, PathBuf) {
    let is_named = is_model_file_name(&name_of(&file), runtimes);
    let version = file.parent().filter(|folder| is_named && is_version_folder(folder));
    match version {
        Some(folder) => (PathKind::Version, folder.to_owned()),
        None => (PathKind::ModelFile, file),
    }
}

fn is_model_file_name(name: &str, runtimes: &RuntimeCatalog) -> bool {
    split_extension(name, runtimes).is_some_and(|(stem, _)| stem == MODEL)
}

fn is_version_folder(folder: &Path) -> bool {
    let is_numbered = Version::parse(&name_of(folder)).is_some();
    is_numbered || [GOLDEN, SAVED_METADATA].iter().any(|file| folder.join(file).exists())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
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

fn folder_kind(path: &Path, runtimes: &RuntimeCatalog) -> io::Result<PathKind> {
    if path.join(COMPONENT).exists() {
        return Ok(PathKind::Version);
    }
    let (mut model, mut model_file) = (path.join(SETTINGS).exists(), false);
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        model |= Version::parse(&name).is_some();
        model_file |= is_model_file_name(&name, runtimes);
    }

    Ok(match (model, model_file) {
        (true, _) => PathKind::Model,
        (false, true) => PathKind::Version,
        (false, false) => PathKind::Repository,
    })
}

/// The name of a model by its file or folder. It may be empty.
pub(in crate::cli) fn model_name_of(path: &Path) -> String {
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// Copies the component, model file, version or model at `path` into the empty repository `root`. A
/// name that no model may have becomes `model`.
pub(in crate::cli) fn lay_out(
    kind: PathKind,
    path: &Path,
    runtimes: &RuntimeCatalog,
    root: &Path,
) -> Result<()> {
    let interceptors = root.join("interceptors");
    let root = if is_interceptor(kind, path) { interceptors.as_path() } else { root };
    let made = fs::create_dir_all(root);
    made.with_context(|| format!("cannot create {}", root.display()))?;
    let copied = match kind {
        PathKind::Bare => {
            fs::copy(path, root.join(format!("{}.wasm", name_or_model(path)))).map(drop)
        }
        PathKind::ModelFile => lay_out_model_file(path, runtimes, root),
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
        PathKind::ModelFile | PathKind::Repository => return false,
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

/// Copies a model file into a version's folder, whatever its content is. One that is refused for
/// its name stays beside the models, where the reason is clearest.
fn lay_out_model_file(path: &Path, runtimes: &RuntimeCatalog, root: &Path) -> io::Result<()> {
    let name = name_of(path);
    let known = split_extension(&name, runtimes);
    let last = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
    let stem = known.as_ref().map_or(last, |(stem, _)| stem);
    let model = model_name(stem);

    let refused = kind_by_name(&name).is_some_and(FileKind::is_refused_model);
    if known.is_none() && refused {
        let ending = name.rsplit('.').next().unwrap_or_default();
        return fs::copy(path, root.join(format!("{model}.{ending}"))).map(drop);
    }

    let version = root.join(model).join("1");
    let file = known.map_or(name.clone(), |(_, extension)| model_file_name(&extension));
    fs::create_dir_all(&version)?;
    fs::copy(path, version.join(file)).map(drop)
}

fn name_or_model(path: &Path) -> String {
    model_name(&model_name_of(path))
}

/// The name if a model may have it, and `model` if not.
fn model_name(name: &str) -> String {
    let named = ModelName::new(name).ok().filter(|name| !name.is_reserved());
    named.map_or(MODEL.into(), |name| name.to_string())
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

    fn kind_of(path: &Path) -> Result<(PathKind, PathBuf)> {
        classify(path, RuntimeCatalog::embedded())
    }

    fn lay_out(kind: PathKind, path: &Path, root: &Path) -> Result<()> {
        super::lay_out(kind, path, RuntimeCatalog::embedded(), root)
    }

    #[test]
    fn a_model_file_is_laid_out_as_a_version() {
        let (_folder, root) =
            folder(&["rent.v2.onnx", "rent.JOBLIB", "a b.json", "rent.xgb", "to/"]);
        for (file, placed) in [
            ("rent.v2.onnx", "rent.v2/1/model.onnx"),
            ("rent.JOBLIB", "rent.JOBLIB"),
            ("a b.json", "model/1/model.json"),
            ("rent.xgb", "rent/1/rent.xgb"),
        ] {
            lay_out(PathKind::ModelFile, &root.join(file), &root.join("to")).unwrap();
            assert!(root.join("to").join(placed).exists(), "{file}");
        }
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
            "a.md",
            "c/Cargo.toml",
            "f/1/model.onnx",
            "saved/model.json",
            "saved/golden.json",
            "loose/model.json",
            "rent.onnx",
            "rent.pkl",
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
            ("f", PathKind::Model),
            ("f/1", PathKind::Version),
            ("saved", PathKind::Version),
            ("loose/model.json", PathKind::ModelFile),
            ("rent.onnx", PathKind::ModelFile),
            ("rent.pkl", PathKind::ModelFile),
        ] {
            assert_eq!(kind_of(&root.join(path)).unwrap(), (expected, root.join(path)), "{path}");
        }
        for (file, folder) in
            [("v/model.wasm", "v"), ("f/1/model.onnx", "f/1"), ("saved/model.json", "saved")]
        {
            assert_eq!(kind_of(&root.join(file)).unwrap(), (PathKind::Version, root.join(folder)));
        }
        for (path, says) in [
            ("a.md", "neither"),
            ("a.md", "text, not WebAssembly"),
            ("absent", "cannot read"),
            ("c", "is a crate"),
        ] {
            let error = kind_of(&root.join(path)).unwrap_err().to_string();
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
