//! `wasi:config/store`: the values that the operator sets for a model.

use super::Ctx;
use super::bindings::wasi::config::store::{Error, Host};

impl Host for Ctx {
    fn get(&mut self, key: String) -> Result<Option<String>, Error> {
        Ok(self.grants.config.get(&key).cloned())
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, Error> {
        Ok(self.grants.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
