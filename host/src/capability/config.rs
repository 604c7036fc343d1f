//! `wasi:config/store`: the values that the operator sets for a model.
//!
//! Those of `model.toml` are fixed: a version is loaded with them. Those of `config.toml` are live:
//! each call sees them as they are when it begins. While `load` runs there are no live ones, since
//! what a model has made of them would be in its snapshot for good.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Ctx;
use super::bindings::wasi::config::store::{Error, Host};
use crate::model::ConfigTable;

/// What `wasi:config` answers with. A clone is shallow: what is set for one is set for all.
#[derive(Clone, Default)]
pub struct ConfigValues {
    fixed: Arc<ConfigTable>,
    live: Arc<ArcSwap<ConfigTable>>,
}

impl ConfigValues {
    /// Values that stay, and values that may change, which go before the others.
    pub fn new(fixed: ConfigTable, live: Arc<ConfigTable>) -> Self {
        ConfigValues { fixed: Arc::new(fixed), live: Arc::new(ArcSwap::new(live)) }
    }

    /// Has calls that begin from now on see these values in place of the live ones before.
    pub fn set_live(&self, live: Arc<ConfigTable>) {
        self.live.store(live);
    }

    /// The live values now.
    pub fn live(&self) -> Arc<ConfigTable> {
        self.live.load_full()
    }
}

impl Ctx {
    /// The live values that the present call sees.
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
