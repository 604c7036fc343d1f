//! The files of one artifact: how they are written, and how it is made sure that they are unchanged.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::super::hex;
use super::{About, Artifact, Snapshot, about};

pub(super) const CODE: &str = "model.cwasm";
pub(super) const ABOUT: &str = "about.json";
const SIDECARS: &str = "sidecars";

/// Writes an artifact's files into a staged directory.
pub(in crate::engine) fn write_artifact(
    directory: &Path,
    code: &[u8],
    about: &About,
    sidecars: &BTreeMap<String, Vec<u8>>,
) -> io::Result<()> {
    let mut digests = BTreeMap::new();
    if let Snapshot::Impossible(_) = about.snapshot {
        fs::create_dir(directory.join(SIDECARS))?;
        for (name, content) in sidecars {
            write_synced(&directory.join(SIDECARS).join(name), content)?;
            digests.insert(name.clone(), sha256(content));
        }
    }
    write_synced(&directory.join(CODE), code)?;
    write_synced(&directory.join(ABOUT), &about::to_json(about, &sha256(code), &digests)?)
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    io::Write::write_all(&mut file, content)?;
    file.set_permissions(fs::Permissions::from_mode(0o400))?;
    file.sync_all()
}

/// Reads an artifact and checks every file of it against what was recorded. Fails if any differs.
pub(super) fn read_artifact(directory: &Path) -> io::Result<Artifact> {
    let recorded = about::from_json(&fs::read(directory.join(ABOUT))?)?;
    let code = directory.join(CODE);
    check(&code, &recorded.code, &sha256_file(&code)?)?;
    let mut sidecars = BTreeMap::new();
    for (name, digest) in &recorded.sidecars {
        let path = directory.join(SIDECARS).join(name);
        let content = fs::read(&path)?;
        check(&path, digest, &sha256(&content))?;
        sidecars.insert(name.clone(), content);
    }
    Ok(Artifact { code, about: recorded.about, sidecars })
}

fn check(path: &Path, recorded: &str, actual: &str) -> io::Result<()> {
    if recorded == actual {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Err(io::Error::new(io::ErrorKind::InvalidData, format!("{name} is not what was written")))
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn sha256_file(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..length]);
    }
}
