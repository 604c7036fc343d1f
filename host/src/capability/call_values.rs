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
use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmtime::component::Linker;

use self::bindings::wardian::model::call_values::{self, Host, ValuesError};
use super::{Ctx, CtxView, HasCtx};

/// The values of one call. They are dropped when the call is answered.
#[derive(Default)]
pub struct CallValues {
    values: Mutex<BTreeMap<String, String>>,
}

/// The most values of a call, and their most bytes with names: a few for each of a few
/// interceptors. Larger data belongs into the request itself.
const MAX_VALUES: usize = 64;
const MAX_BYTES: usize = 64 << 10;

impl CallValues {
    fn get(&self, name: &str) -> Option<String> {
        self.lock().get(name).cloned()
    }

    /// Stores a value in place of the previous one. Fails with the limit that it would exceed.
    fn set(&self, name: String, value: String) -> Result<(), String> {
        let mut kept = self.lock();
        let others = || kept.iter().filter(|(other, _)| **other != name);
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

        kept.insert(name, value);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Ctx {
    fn get(&mut self, name: String) -> Option<String> {
        self.scope.values.as_ref()?.get(&name)
    }

    fn set(&mut self, name: String, value: String) -> Result<(), ValuesError> {
        let values = self.scope.values.as_ref().ok_or(ValuesError::NoCall)?;
        values.set(name, value).map_err(ValuesError::Limit)
    }
}

pub(super) fn add_to_linker<T: CtxView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    call_values::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_replaces_the_previous_one_of_its_name() {
        let values = CallValues::default();
        values.set("a".into(), "1".into()).unwrap();
        values.set("a".into(), "2".into()).unwrap();
        assert_eq!((values.get("a").as_deref(), values.get("b")), (Some("2"), None));
    }

    #[test]
    fn the_number_and_size_of_values_are_limited() {
        let values = CallValues::default();
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
