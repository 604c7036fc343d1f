//! `wardian:model/call-values`: values that the interceptors and the model of one call share.

mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package wardian:host;
            world values {
                import wardian:model/call-values@0.1.0;
            }
        ",
        world: "wardian:host/values",
    });
}

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;

use self::bindings::wardian::model::call_values::{self, Host, ValuesError};
use super::{Ctx, CtxView, HasCtx, HostCapability};
use crate::mutex::lock;
use crate::tenant::{QuotaGuard, Resource, Tenant};

/// The values of one call. They are dropped when the call is answered.
pub struct CallValues(Mutex<Values>);

struct Values {
    by_name: BTreeMap<String, String>,
    /// Charges the values, which are in the host's memory, to the tenant.
    charged: QuotaGuard,
}

/// The most values of a call, and their most bytes with names: a few for each of a few
/// interceptors. Larger data belongs into the request itself.
const MAX_VALUES: usize = 64;
const MAX_BYTES: usize = 64 << 10;

impl CallValues {
    /// No values. Those of the call are charged to `tenant`.
    pub fn new(tenant: &Arc<Tenant>) -> Self {
        let charged = QuotaGuard::empty(tenant, Resource::Memory);
        CallValues(Mutex::new(Values { by_name: BTreeMap::new(), charged }))
    }

    fn get(&self, name: &str) -> Option<String> {
        self.lock().by_name.get(name).cloned()
    }

    /// Stores a value in place of the previous one. Fails with the limit that it would exceed.
    fn set(&self, name: String, value: String) -> Result<(), String> {
        let mut values = self.lock();
        let others = || values.by_name.iter().filter(|(other, _)| **other != name);
        let size = others().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            + name.len()
            + value.len();

        if others().count() >= MAX_VALUES {
            return Err(format!("a call has at most {MAX_VALUES} values"));
        }

        if size > MAX_BYTES {
            return Err(format!(
                "the values of a call have at most {MAX_BYTES} bytes, with their names"
            ));
        }

        values.charged.resize(size as u64).map_err(|refusal| refusal.to_string())?;
        values.by_name.insert(name, value);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Values> {
        lock(&self.0)
    }
}

impl Host for Ctx {
    fn get(&mut self, name: String) -> Option<String> {
        self.call.values.as_ref()?.get(&name)
    }

    fn set(&mut self, name: String, value: String) -> Result<(), ValuesError> {
        let values = self.call.values.as_ref().ok_or(ValuesError::NoCall)?;
        values.set(name, value).map_err(ValuesError::Limit)
    }
}

impl HostCapability for CallValues {
    const IMPORTS: &'static [&'static str] = &["wardian:model/call-values"];

    fn add_to_linker<T: CtxView + WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        call_values::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantName;
    use crate::tenant::{Quota, TenantSettings};

    /// The values of a call of a tenant with that memory quota in bytes.
    fn values(memory: u64) -> CallValues {
        let quota = Quota { memory, ..Quota::unlimited() };
        let settings = TenantSettings { quota, ..TenantSettings::default() };
        CallValues::new(&Tenant::new(TenantName::default_tenant(), settings))
    }

    #[test]
    fn values_count_against_the_tenants_memory() {
        let values = values(100);
        values.set("a".into(), "x".repeat(90)).unwrap();
        assert!(values.set("b".into(), "x".repeat(90)).unwrap_err().contains("memory"));

        values.set("a".into(), String::new()).unwrap();
        values.set("b".into(), "x".repeat(90)).unwrap();
    }

    #[test]
    fn a_value_replaces_the_previous_one_of_its_name() {
        let values = values(u64::MAX);
        values.set("a".into(), "1".into()).unwrap();
        values.set("a".into(), "2".into()).unwrap();
        assert_eq!((values.get("a").as_deref(), values.get("b")), (Some("2"), None));
    }

    #[test]
    fn the_number_and_size_of_values_are_limited() {
        let values = values(u64::MAX);
        assert!(
            values.set("large".into(), "x".repeat(MAX_BYTES)).unwrap_err().contains("65536 bytes")
        );

        (0..MAX_VALUES).for_each(|name| values.set(name.to_string(), "x".repeat(900)).unwrap());
        assert!(values.set("one more".into(), String::new()).unwrap_err().contains("64 values"));

        values.set("0".into(), "x".repeat(1000)).unwrap();
        assert!(values.set("0".into(), "x".repeat(20_000)).is_err());
        assert_eq!(
            values.get("0").map(|value| value.len()),
            Some(1000),
            "a refused value changes nothing"
        );
    }
}
