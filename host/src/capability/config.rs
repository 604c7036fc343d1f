//! `wasi:config/store`: the values that the operator sets for a model.
//!
//! Values of `model.toml` are fixed when a version loads. Values of `config.toml` are live: a call
//! sees them as of its start. `load` sees no live values, because a snapshot would keep them for
//! good.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Ctx;
use super::bindings::wasi::config::store::{Error, Host};
use crate::model::ConfigTable;

/// The values that `wasi:config` returns. A clone is shallow: a change is visible to all clones.
#[derive(Clone, Default)]
pub struct ConfigValues {
    fixed: Arc<ConfigTable>,
    live: Arc<ArcSwap<ConfigTable>>,
}

impl ConfigValues {
    /// Fixed values, and live values, which take precedence.
    pub fn new(fixed: ConfigTable, live: Arc<ConfigTable>) -> Self {
        ConfigValues { fixed: Arc::new(fixed), live: Arc::new(ArcSwap::new(live)) }
    }

    /// Replaces the live values for calls that start from now on.
    pub fn set_live(&self, live: Arc<ConfigTable>) {
        self.live.store(live);
    }

    /// The current live values.
    pub fn live(&self) -> Arc<ConfigTable> {
        self.live.load_full()
    }
}

impl Ctx {
    /// The live values of the current call; `None` in `load`.
    fn live(&self) -> Option<&ConfigTable> {
        Some(&*self.live).filter(|_| !self.loading)
    }
}

impl Host for Ctx {
    fn get(&mut self, key: String) -> Result<Option<String>, Error> {
        let live = self.live().and_then(|live| live.get(&key));
        Ok(live.or_else(|| self.grants.config.fixed.get(&key)).cloned())
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, Error> {
        let mut all = BTreeMap::clone(&self.grants.config.fixed);
        all.extend(self.live().cloned().unwrap_or_default());
        Ok(all.into_iter().collect())
    }
}
