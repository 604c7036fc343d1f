//! Host memory of one request.

use std::sync::Arc;

use crate::model::QuotaExceeded;
use crate::tenant::{QuotaGuard, Resource, Tenant};

/// Bytes per request that do not count against the quota. Most requests need less, and so cost the
/// quota nothing.
const FREE_BYTES: u64 = 16 << 10;

/// Host memory of a request: its body, its tensors and its response, each while it exists. Counts
/// against the tenant's quota `memory`.
pub(in crate::api) struct RequestMemory(QuotaGuard);

impl RequestMemory {
    /// Starts at 0 bytes.
    pub(in crate::api) fn new(tenant: &Arc<Tenant>) -> Self {
        RequestMemory(QuotaGuard::empty(tenant, Resource::Memory))
    }

    /// Sets the size to `bytes`. Idle instances of the tenant are evicted to make room. Fails, and
    /// changes nothing, if the quota would be exceeded.
    pub(in crate::api) fn resize(&mut self, bytes: usize) -> Result<(), QuotaExceeded> {
        let counted = (bytes as u64).saturating_sub(FREE_BYTES);
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
    fn bytes_beyond_the_free_ones_count_until_released() {
        let quota = Quota { memory: 100, ..Quota::unlimited() };
        let tenant = Tenant::new(
            TenantName::default_tenant(),
            TenantSettings { quota, ..TenantSettings::default() },
        );
        let held = |bytes| {
            let mut memory = RequestMemory::new(&tenant);
            memory.resize(bytes).map(|()| memory)
        };
        let free = FREE_BYTES as usize;
        let small = held(free).unwrap();
        let large = held(free + 60);

        assert_eq!(tenant.used(Resource::Memory), 60);
        assert_eq!(held(free + 41).err().map(|refusal| refusal.quota), Some("memory"));

        let mut large = large.unwrap();
        assert!(large.resize(free + 101).is_err());
        assert_eq!(tenant.used(Resource::Memory), 60);
        large.resize(free + 100).unwrap();
        large.resize(0).unwrap();
        assert_eq!(tenant.used(Resource::Memory), 0);
        large.resize(free + 100).unwrap();
        drop((small, large));
        assert_eq!(tenant.used(Resource::Memory), 0);
    }
}
