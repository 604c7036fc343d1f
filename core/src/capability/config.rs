//! `wasi:config/store`: the values that the operator sets for a model.
//!
//! Values of `model.toml` are fixed when a version loads. Values of `config.toml` are live: a call
//! sees them as of its start. `load` sees no live values, because a snapshot would keep them for
//! good.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;

use self::bindings::wasi::config::store::{self, Error, Host};
use super::{Ctx, CtxView, HasCtx, HostCapability};
use crate::model::ConfigTable;

mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package wardian:host;
            world configuration {
                import wasi:config/store@0.2.0-rc.1;
            }
        ",
        world: "wardian:host/configuration",
    });
}

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

impl HostCapability for ConfigValues {
    const IMPORTS: &'static [&'static str] = &["wasi:config/store"];

    fn add_to_linker<T: CtxView + WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        store::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())
    }

    fn begin_call(ctx: &mut Ctx) {
        ctx.live = ctx.grants.config.live();
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
