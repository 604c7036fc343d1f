//! Parses lists of API keys: `keys = [{ id = "ci", sha256 = "…", scopes = ["infer"] }]`.

use std::fmt;
use std::sync::Arc;

use toml::de::DeValue;

use crate::model::Digest;
use crate::tenant::{ApiKey, KeyScope, KeyScopes};
use crate::toml_reader::{TableReader, list, one_of, text};

/// Position of a setting: file and line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SourceLine {
    pub(super) file: Arc<str>,
    pub(super) line: usize,
}

impl fmt::Display for SourceLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} line {}", self.file, self.line)
    }
}

/// An API key and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LocatedKey {
    pub(super) place: SourceLine,
    pub(super) key: ApiKey,
}

/// Owner of a key, which determines the allowed scopes.
#[derive(Clone, Copy)]
pub(super) enum KeyOwner {
    Tenant,
    Host,
}

/// Parses the list `keys`, if it exists.
pub(super) fn read_keys(
    keys: &mut TableReader<'_>,
    file: &Arc<str>,
    owner: KeyOwner,
) -> Vec<LocatedKey> {
    let mut read: Vec<LocatedKey> = Vec::new();
    keys.list("keys", |keys| {
        let id = keys.read_required("id", |value| parse_key_id(&text(value)?));
        let digest = keys.read_required("sha256", digest);
        let scopes = keys.read_required("scopes", |value| scopes(value, owner));

        let duplicate = read.iter().find(|other| Some(&other.key.id) == id.as_ref());
        if let Some(LocatedKey { place, key }) = duplicate {
            keys.report_table(&format!(
                "the id '{}' is also that of the key on line {}; rename one",
                key.id, place.line
            ));
        }

        if let (Some(id), Some(digest), Some(scopes)) = (id, digest, scopes) {
            let place = SourceLine { file: file.clone(), line: keys.line() };
            read.push(LocatedKey { place, key: ApiKey { id, digest, scopes } });
        }
    });
    read
}

/// Checks the id of a key, which appears in logs.
pub(crate) fn parse_key_id(id: &str) -> Result<String, String> {
    let allowed = |char: char| char.is_ascii_graphic() && !matches!(char, '"' | '\\');
    let right = (1..=MAX_ID).contains(&id.len()) && id.chars().all(allowed);
    right
        .then(|| id.to_owned())
        .ok_or_else(|| format!("use 1 to {MAX_ID} letters, digits and signs, without spaces"))
}

/// Limit of an id, in bytes.
const MAX_ID: usize = 64;

fn digest(value: &DeValue<'_>) -> Result<Digest, String> {
    let wrong = "not the SHA-256 of a key, which has 64 hexadecimal digits; `wardian key new` prints it with the key";
    Digest::parse(&text(value)?).ok_or_else(|| wrong.into())
}

fn scopes(value: &DeValue<'_>, owner: KeyOwner) -> Result<KeyScopes, String> {
    let scopes: KeyScopes = list(one_of(KeyScope::ALL.map(|scope| (scope.name(), scope))))(value)?
        .into_iter()
        .collect();

    match owner {
        KeyOwner::Host if scopes != KeyScopes::ADMIN => {
            Err("a key of the host's own has the scope \"admin\" and no other; keys with other scopes belong to a \
                 tenant"
                .into())
        }
        KeyOwner::Tenant if scopes == KeyScopes::default() => Err("a key without scopes is good for nothing".into()),
        _ => Ok(scopes),
    }
}
