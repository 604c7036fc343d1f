//! The host's memory that is held for one request.

use std::sync::Arc;

use crate::model::QuotaExceeded;
use crate::tenant::{Held, Resource, Tenant};

/// What every request may hold beside its tenant's quota. Most requests hold less, and so cost the
/// quota nothing.
const FREE: u64 = 16 << 10;

/// Bytes of the host's memory that are held for a request: its body, its tensors and its answer,
/// each while it is there. They count against the tenant's quota `memory`.
pub(super) struct Memory(Held);

impl Memory {
    /// Holds nothing yet.
    pub(super) fn of(tenant: &Arc<Tenant>) -> Self {
        Memory(Held::none(tenant, Resource::Memory))
    }

    /// Notes that so many bytes are held from now on, in place of those before. Instances that
    /// nobody is using make room. Fails, and changes nothing, if the tenant may not hold so many.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), QuotaExceeded> {
        let counted = (bytes as u64).saturating_sub(FREE);
        loop {
            match self.0.resize(counted) {
                Err(_) if self.0.tenant().reclaim() => {}
                outcome => return outcome,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantName;
    use crate::tenant::{Quota, TenantSettings};

    #[test]
    fn what_is_beyond_the_free_bytes_counts_until_it_is_let_go_of() {
        let quota = Quota { memory: 100, ..Quota::unlimited() };
        let tenant = Tenant::new(
            TenantName::default_tenant(),
            TenantSettings { quota, ..TenantSettings::default() },
        );
        let held = |bytes| {
            let mut memory = Memory::of(&tenant);
            memory.hold(bytes).map(|()| memory)
        };
        let free = FREE as usize;
        let (small, large) = (held(free).unwrap(), held(free + 60));
        assert_eq!(tenant.used(Resource::Memory), 60);
        assert_eq!(held(free + 41).err().map(|refusal| refusal.quota), Some("memory"));
        let mut large = large.unwrap();
        assert!(large.hold(free + 101).is_err());
        assert_eq!(tenant.used(Resource::Memory), 60);
        large.hold(free + 100).unwrap();
        large.hold(0).unwrap();
        assert_eq!(tenant.used(Resource::Memory), 0);
        large.hold(free + 100).unwrap();
        drop((small, large));
        assert_eq!(tenant.used(Resource::Memory), 0);
    }
}
