//! `session-words` with a migration of sessions of older versions; see `tests/guests/README.md`.

#[path = "../../session-words/src/words.rs"]
mod words;

use wardian_sdk::{Error, SessionMigration};

impl SessionMigration for words::Words {
    fn migrate_session(&self, from_version: u64, state: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        let state = String::from_utf8_lossy(&state).into_owned();
        match state.as_str() {
            "strange" => Err(Error::failed("nobody can read this")),
            "forget" => Ok(None),
            _ => Ok(Some(format!("(from {from_version}: {state})").into_bytes())),
        }
    }
}

wardian_sdk::export!(words::Words, deferred, session_migration);
