//! The folder of a mirror, in which versions are placed and removed atomically.
//!
//! ```text
//! mirror/        the directory that is scanned; `filling/` until the first refresh has succeeded
//! staged/        files being fetched or removed
//! record.json    the tag of each mirrored object
//! ```
//!
//! Only this host writes here. Every function does file I/O and blocks.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::listing::ContentTag;
use super::mirror_record;
use super::sync_unit::{Files, SyncUnit};

/// The folder of a mirror.
#[derive(Clone, Debug)]
pub(super) struct MirrorDir {
    base: PathBuf,
    /// True once a refresh has succeeded.
    is_visible: bool,
}

/// Returns the directory to scan. It does not exist before the first successful refresh, because an
/// empty folder would mean that no model is wanted.
pub(super) fn root(base: &Path) -> PathBuf {
    base.join("mirror")
}

impl MirrorDir {
    /// Opens or creates the folder of a mirror. Returns it with the mirrored files. Removes files
    /// left by a killed host.
    pub(super) fn open(base: PathBuf) -> io::Result<(Self, Files<ContentTag>)> {
        let dir = MirrorDir { is_visible: root(&base).is_dir(), base };
        fs::create_dir_all(dir.root())?;
        remove(&dir.staged())?;
        fs::create_dir(dir.staged())?;
        let files = mirror_record::read(&dir.root(), &dir.record())?;
        Ok((dir, files))
    }

    /// Returns the directory that holds the mirrored files now.
    fn root(&self) -> PathBuf {
        if self.is_visible { root(&self.base) } else { self.base.join("filling") }
    }

    /// Makes the mirror visible to scans.
    pub(super) fn make_visible(&mut self) -> io::Result<()> {
        if !self.is_visible {
            fs::rename(self.root(), root(&self.base))?;
            self.is_visible = true;
        }
        Ok(())
    }

    /// Writes the record of mirrored files.
    pub(super) fn save(&self, files: &Files<ContentTag>) -> io::Result<()> {
        mirror_record::write(&self.record(), files)
    }

    /// Creates a staging directory for a unit.
    pub(super) fn stage(&self) -> io::Result<PathBuf> {
        let staged = self.fresh_path();
        fs::create_dir(&staged)?;
        Ok(staged)
    }

    /// Links an unchanged file into a unit's staging directory.
    pub(super) fn link_unchanged(
        &self,
        unit: &SyncUnit,
        name: &str,
        staged: &Path,
    ) -> io::Result<()> {
        let (from, to) = (self.root().join(unit.file(name)), staged.join(name));
        // Not every file system supports hard links.
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop))
    }

    /// Moves a complete unit into the mirror atomically.
    pub(super) fn place(&self, unit: &SyncUnit, staged: &Path) -> io::Result<()> {
        let place = self.root().join(unit.path());
        let folder = place.parent().unwrap_or(&self.base);
        let ready = match unit {
            SyncUnit::Version(..) => staged.to_owned(),
            SyncUnit::Settings(..) | SyncUnit::Bare(..) => {
                staged.join(place.file_name().unwrap_or_default())
            }
        };

        File::open(staged)?.sync_all()?;
        if folder.is_dir() {
            self.put(&ready, &place)?;
        } else {
            self.put_with_model_folder(&ready, &place, folder)?;
        }

        File::open(folder)?.sync_all()?;

        remove(staged)
    }

    /// Removes a unit atomically, and its model's folder if that becomes empty.
    pub(super) fn remove(&self, unit: &SyncUnit) -> io::Result<()> {
        let (place, gone) = (self.root().join(unit.path()), self.fresh_path());
        match fs::rename(&place, &gone) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }

        if !matches!(unit, SyncUnit::Bare(..)) {
            // Fails while the folder is not empty.
            let _ = fs::remove_dir(self.root().join(unit.model().as_str()));
        }

        remove(&gone)
    }

    /// Removes the tenant's mirrors of other URLs.
    pub(super) fn remove_others(&self) -> io::Result<()> {
        let Some(all) = self.base.parent() else { return Ok(()) };
        for entry in fs::read_dir(all)? {
            let path = entry?.path();
            if path != self.base {
                remove(&path)?;
            }
        }

        Ok(())
    }

    /// Places the first unit of a model together with the model's folder, which is never visible
    /// empty.
    fn put_with_model_folder(&self, ready: &Path, place: &Path, folder: &Path) -> io::Result<()> {
        folder.parent().map_or(Ok(()), fs::create_dir_all)?;
        let model = self.stage()?;
        let within = model.join(place.file_name().unwrap_or_default());
        let put = fs::rename(ready, &within).and_then(|()| match fs::rename(&model, folder) {
            // Another version of the model was placed first.
            Err(_) if folder.is_dir() => self.put(&within, place),
            put => put,
        });

        put.and(remove(&model))
    }

    fn put(&self, staged: &Path, place: &Path) -> io::Result<()> {
        // Renaming a file replaces the present one.
        if !place.is_dir() {
            return fs::rename(staged, place);
        }

        if exchange(staged, place).is_ok() {
            return Ok(());
        }

        // Without an atomic exchange the version is missing for a moment, which is shorter than the
        // settle time.
        let before = self.fresh_path();
        fs::rename(place, &before)?;
        fs::rename(staged, place)?;

        remove(&before)
    }

    fn fresh_path(&self) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        self.staged().join(COUNT.fetch_add(1, Ordering::Relaxed).to_string())
    }

    fn staged(&self) -> PathBuf {
        self.base.join("staged")
    }

    fn record(&self) -> PathBuf {
        self.base.join("record.json")
    }
}

/// Exchanges two folders atomically.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Removes a file, or a folder with its content. Succeeds if there is none.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };

    removed
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(path: &str) -> SyncUnit {
        SyncUnit::of(path).unwrap().0
    }

    fn put(dir: &MirrorDir, path: &str, files: &[(&str, &str)]) {
        let staged = dir.stage().unwrap();
        files.iter().for_each(|(name, content)| fs::write(staged.join(name), content).unwrap());
        dir.place(&unit(path), &staged).unwrap();
    }

    #[test]
    fn units_are_placed_and_removed() {
        let base = tempfile::tempdir().unwrap();
        let (mut dir, files) = MirrorDir::open(base.path().join("a")).unwrap();
        assert!(
            files.is_empty() && !root(&dir.base).exists(),
            "the mirror is not visible before the first refresh"
        );

        put(&dir, "iris.wasm", &[("iris.wasm", "x")]);
        put(&dir, "b/model.toml", &[("model.toml", "x")]);
        put(&dir, "b/1/model.wasm", &[("model.wasm", "old"), ("gone.bin", "x")]);
        put(&dir, "interceptors/audit/1/model.wasm", &[("model.wasm", "x")]);
        put(&dir, "interceptors/log.wasm", &[("log.wasm", "x")]);
        dir.make_visible().unwrap();
        let at = |path: &str| root(&dir.base).join(path);
        let staged = dir.stage().unwrap();
        dir.link_unchanged(&unit("b/1/model.wasm"), "model.wasm", &staged).unwrap();
        fs::write(staged.join("new.bin"), "x").unwrap();
        dir.place(&unit("b/1/model.wasm"), &staged).unwrap();
        assert_eq!(fs::read_to_string(at("b/1/model.wasm")).unwrap(), "old");
        assert!(at("b/1/new.bin").exists() && !at("b/1/gone.bin").exists());
        assert!(
            at("interceptors/audit/1/model.wasm").exists() && at("interceptors/log.wasm").exists()
        );
        dir.remove(&unit("interceptors/audit/1/model.wasm")).unwrap();
        dir.remove(&unit("interceptors/log.wasm")).unwrap();
        fs::remove_dir(at("interceptors")).unwrap();

        for path in ["b/1/model.wasm", "b/model.toml", "iris.wasm", "never/1/model.wasm"] {
            dir.remove(&unit(path)).unwrap();
        }

        assert_eq!(fs::read_dir(root(&dir.base)).unwrap().count(), 0);

        assert_eq!(fs::read_dir(dir.staged()).unwrap().count(), 0);
    }

    #[test]
    fn versions_of_a_new_model_can_be_placed_concurrently() {
        let base = tempfile::tempdir().unwrap();
        let (dir, _) = MirrorDir::open(base.path().join("a")).unwrap();
        let together = std::sync::Barrier::new(2);

        for round in 0..500 {
            std::thread::scope(|scope| {
                for version in 1..=2 {
                    let (dir, together) = (&dir, &together);
                    scope.spawn(move || {
                        let staged = dir.stage().unwrap();
                        fs::write(staged.join("model.wasm"), version.to_string()).unwrap();
                        together.wait();
                        dir.place(&unit(&format!("m{round}/{version}/model.wasm")), &staged)
                            .unwrap();
                    });
                }
            });

            let read = |version| {
                fs::read_to_string(dir.root().join(format!("m{round}/{version}/model.wasm")))
            };

            assert_eq!((read(1).unwrap(), read(2).unwrap()), ("1".into(), "2".into()));
        }

        assert_eq!(fs::read_dir(dir.staged()).unwrap().count(), 0);
    }

    #[test]
    fn a_mirror_is_found_again_and_others_are_removed() {
        let all = tempfile::tempdir().unwrap();
        fs::create_dir_all(all.path().join("other/mirror")).unwrap();
        let (mut dir, mut files) = MirrorDir::open(all.path().join("a")).unwrap();
        put(&dir, "iris.wasm", &[("iris.wasm", "x")]);
        files
            .entry(unit("iris.wasm"))
            .or_default()
            .insert("iris.wasm".into(), ContentTag { validator: "e".into(), size: 1 });
        dir.save(&files).unwrap();
        dir.stage().unwrap();
        dir.make_visible().unwrap();
        dir.remove_others().unwrap();
        assert_eq!(fs::read_dir(all.path()).unwrap().count(), 1);
        let (dir, found) = MirrorDir::open(all.path().join("a")).unwrap();
        assert!(found == files && dir.is_visible);

        assert_eq!(fs::read_dir(dir.staged()).unwrap().count(), 0);
    }
}
