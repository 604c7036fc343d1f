//! Metrics of every tenant, read when they are collected, so that they cost a request nothing.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};

use super::{Resource, Tenant, Tenants, UNLIMITED};

/// Registers the metrics of every tenant.
pub fn register(tenants: Tenants, registry: &mut Registry) {
    registry.register_collector(Box::new(TenantCollector(tenants)));
}

struct TenantCollector(Tenants);

impl fmt::Debug for TenantCollector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TenantMetrics")
    }
}

impl Collector for TenantCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let tenants = self.0.all();
        let mut families = Families { encoder: &mut encoder, tenants: &tenants };

        families.add(
            ("tenant_cpu", Some(&Unit::Seconds)),
            "CPU time used by a tenant's guests and by host work for it",
            |tenant| ConstCounter::new(tenant.account().used() as f64 / 1e9),
        )?;
        families.add(("tenant_refusals", None), "Refusals for a tenant's quota", |tenant| {
            ConstCounter::new(tenant.refused())
        })?;
        families.add(
            ("tenant_key_value_operations", None),
            "Key-value operations of a tenant's models",
            |tenant| ConstCounter::new(tenant.key_value_operations()),
        )?;
        families.add(
            ("tenant_log_lines_dropped", None),
            "Dropped log lines of a tenant's guests",
            |tenant| ConstCounter::new(tenant.log().dropped()),
        )?;
        families.add(
            ("tenant_instances", None),
            "Instances of a tenant, idle ones included",
            |tenant| ConstGauge::new(tenant.instances()),
        )?;

        encode_resources(&mut encoder, &tenants)
    }
}

type SharedTenant = std::sync::Arc<Tenant>;

/// Encodes metrics that have one value for each tenant.
struct Families<'e, 'd> {
    encoder: &'e mut DescriptorEncoder<'d>,
    tenants: &'e [SharedTenant],
}

impl Families<'_, '_> {
    /// Adds a metric by its name and unit. `read` returns its value for a tenant.
    fn add<M: EncodeMetric + TypedMetric>(
        &mut self,
        (name, unit): (&str, Option<&Unit>),
        help: &str,
        read: impl Fn(&Tenant) -> M,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, unit, M::TYPE)?;
        for tenant in self.tenants {
            let labels = [("tenant", tenant.name().as_str())];
            read(tenant).encode(family.encode_family(&labels)?)?;
        }

        Ok(())
    }
}

/// Encodes the resources that tenants hold, and their limits.
fn encode_resources(encoder: &mut DescriptorEncoder<'_>, tenants: &[SharedTenant]) -> fmt::Result {
    let help = "Amount of a resource held by a tenant; memory and storage in bytes";
    let mut family = encoder.encode_descriptor("tenant_held", help, None, MetricType::Gauge)?;
    for tenant in tenants {
        for resource in Resource::ALL {
            let labels = [("tenant", tenant.name().as_str()), ("resource", resource.name())];
            ConstGauge::new(tenant.used(resource)).encode(family.encode_family(&labels)?)?;
        }
    }

    let help = "Limit of a tenant's resource, if there is one";
    let mut family = encoder.encode_descriptor("tenant_limit", help, None, MetricType::Gauge)?;
    for tenant in tenants {
        let settings = tenant.settings();
        for resource in Resource::ALL
            .into_iter()
            .filter(|&resource| settings.quota.limit(resource) != UNLIMITED)
        {
            let labels = [("tenant", tenant.name().as_str()), ("resource", resource.name())];
            ConstGauge::new(settings.quota.limit(resource))
                .encode(family.encode_family(&labels)?)?;
        }
    }

    Ok(())
}
