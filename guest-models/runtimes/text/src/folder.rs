//! The files beside the network.

use serde::de::DeserializeOwned;
use wardian_sdk::{Error, OrError};

/// Bytes of a file of settings. Real ones have at most a few thousand.
const MAX_SETTINGS: usize = 4 << 20;

/// Returns the content of a file by its name; `None` if there is none.
pub(crate) type FindFile<'a> = &'a dyn Fn(&str) -> Result<Option<Vec<u8>>, Error>;

/// A version's folder.
pub struct Folder<'a> {
    find: FindFile<'a>,
}

impl<'a> Folder<'a> {
    /// A folder whose files this function returns.
    pub fn new(find: FindFile<'a>) -> Self {
        Self { find }
    }

    /// Returns the content of a file; `None` if there is none.
    ///
    /// # Errors
    /// Failed if it cannot be read.
    pub fn find(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        (self.find)(name)
    }

    /// Returns the content of a file.
    ///
    /// # Errors
    /// Failed if there is none.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        self.find(name)?.or_failed(format_args!("there is no {name} beside the network"))
    }

    /// Returns the content of a file in JSON; `None` if there is none.
    ///
    /// # Errors
    /// Failed if it is not valid; the text names the field.
    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(content) = self.find(name)? else { return Ok(None) };
        if content.len() > MAX_SETTINGS {
            let text = format!("{name} has {} bytes, more than {MAX_SETTINGS}", content.len());
            return Err(Error::failed(text));
        }
        serde_json::from_slice(&content).map(Some).or_failed(name)
    }
}
