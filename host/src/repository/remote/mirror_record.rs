//! Record of the mirrored files and their tags, kept on disk so that a restart fetches nothing
//! again.
//!
//! The files on disk are the mirror; the record only holds their tags. A file without a record,
//! because the host was killed in between, is fetched again. A recorded file that does not exist is
//! not mirrored.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::listing::ContentTag;
use super::sync_unit::{Files, SyncUnit};
use crate::repository::is_temporary;

#[derive(Default, Serialize, Deserialize)]
struct Record {
    /// By path in the repository.
    files: BTreeMap<String, ContentTag>,
}

/// Returns the files beneath `root`, each with its recorded tag.
pub(super) fn read(root: &Path, record: &Path) -> io::Result<Files<ContentTag>> {
    let recorded = match fs::read(record) {
        // A truncated record is treated as empty.
        Ok(bytes) => serde_json::from_slice::<Record>(&bytes).unwrap_or_default(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Record::default(),
        Err(error) => return Err(error),
    };

    let mut found = Vec::new();
    walk(root, "", DEPTH, &mut found)?;
    let mut mirrored: Files<ContentTag> = Files::new();

    for (path, size) in found {
        let Some((unit, name)) = SyncUnit::of(&path) else { continue };
        let unknown = ContentTag { validator: String::new(), size };
        let tag =
            recorded.files.get(&path).filter(|tag| tag.size == size).cloned().unwrap_or(unknown);
        mirrored.entry(unit).or_default().insert(name, tag);
    }

    Ok(mirrored)
}

/// Writes the record atomically.
pub(super) fn write(record: &Path, mirrored: &Files<ContentTag>) -> io::Result<()> {
    let files = mirrored
        .iter()
        .flat_map(|(unit, files)| files.iter().map(|(name, tag)| (unit.file(name), tag.clone())));

    let bytes = serde_json::to_vec(&Record { files: files.collect() })?;
    let mut file = tempfile::NamedTempFile::new_in(record.parent().unwrap_or(Path::new("")))?;
    file.write_all(&bytes)?;
    file.as_file().sync_all()?;
    file.persist(record)?;

    Ok(())
}

/// Depth of the deepest file: interceptors folder, model folder, version folder, file.
const DEPTH: usize = 4;

fn walk(
    folder: &Path,
    within: &str,
    depth: usize,
    found: &mut Vec<(String, u64)>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();

        if is_temporary(&name) {
            continue;
        }

        let path = if within.is_empty() { name } else { format!("{within}/{name}") };
        let metadata = entry.metadata()?;

        if metadata.is_file() {
            found.push((path, metadata.len()));
        } else if metadata.is_dir() && depth > 1 {
            walk(&entry.path(), &path, depth - 1, found)?;
        }
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(mark: &str, size: u64) -> ContentTag {
        ContentTag { validator: mark.into(), size }
    }

    fn mirrored(files: &[(&str, ContentTag)]) -> Files<ContentTag> {
        let mut mirrored: Files<ContentTag> = Files::new();
        for (path, tag) in files {
            let (unit, name) = SyncUnit::of(path).unwrap();
            mirrored.entry(unit).or_default().insert(name, tag.clone());
        }
        mirrored
    }

    #[test]
    fn files_on_disk_are_mirrored_and_tagged_by_the_record() {
        let folder = tempfile::tempdir().unwrap();
        let (root, record) = (folder.path().join("mirror"), folder.path().join("record.json"));
        fs::create_dir_all(root.join("b/1")).unwrap();

        for path in ["a.wasm", "b/1/model.wasm", "b/1/cut.bin", "b/1/new.bin", "README.md"] {
            fs::write(root.join(path), "four").unwrap();
        }

        let written = [
            ("a.wasm", "x", 4),
            ("b/1/model.wasm", "y", 4),
            ("b/1/cut.bin", "z", 5),
            ("gone.wasm", "x", 4),
        ];

        write(&record, &mirrored(&written.map(|(path, mark, size)| (path, tag(mark, size)))))
            .unwrap();
        let expected =
            [("a.wasm", "x"), ("b/1/model.wasm", "y"), ("b/1/cut.bin", ""), ("b/1/new.bin", "")];

        assert_eq!(
            read(&root, &record).unwrap(),
            mirrored(&expected.map(|(path, mark)| (path, tag(mark, 4))))
        );
    }

    #[test]
    fn a_missing_or_invalid_record_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.wasm"), "four").unwrap();
        let record = folder.path().join("record.json");
        let nothing = mirrored(&[("a.wasm", tag("", 4))]);
        assert_eq!(read(folder.path(), &record).unwrap(), nothing);
        fs::write(&record, "{\"files\": {\"a.wasm\"").unwrap();

        assert_eq!(read(folder.path(), &record).unwrap(), nothing);
    }
}
