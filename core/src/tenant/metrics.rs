//! Metrics of every tenant, read when they are collected, so that they cost a request nothing.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
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
        let seconds = |tenant: &Tenant| ConstCounter::new(tenant.account().used() as f64 / 1e9);
        let help = "CPU time used by a tenant's guests and by host work for it";

        encode_family(
            &mut encoder,
            "tenant_cpu",
            help,
            Some(&Unit::Seconds),
            MetricType::Counter,
            &tenants,
            seconds,
        )?;
        let help = "Refusals for a tenant's quota";
        let refused = |tenant: &Tenant| ConstCounter::new(tenant.refused());

        encode_family(
            &mut encoder,
            "tenant_refusals",
            help,
            None,
            MetricType::Counter,
            &tenants,
            refused,
        )?;
        let help = "Key-value operations of a tenant's models";
        let operations = |tenant: &Tenant| ConstCounter::new(tenant.key_value_operations());

        encode_family(
            &mut encoder,
            "tenant_key_value_operations",
            help,
            None,
            MetricType::Counter,
            &tenants,
            operations,
        )?;
        let help = "Dropped log lines of a tenant's guests";
        let dropped = |tenant: &Tenant| ConstCounter::new(tenant.log().dropped());

        encode_family(
            &mut encoder,
            "tenant_log_lines_dropped",
            help,
            None,
            MetricType::Counter,
            &tenants,
            dropped,
        )?;
        let help = "Instances of a tenant, idle ones included";
        let instances = |tenant: &Tenant| ConstGauge::new(tenant.instances());

        encode_family(
            &mut encoder,
            "tenant_instances",
            help,
            None,
            MetricType::Gauge,
            &tenants,
            instances,
        )?;
        encode_resources(&mut encoder, &tenants)
    }
}

type SharedTenant = std::sync::Arc<Tenant>;

fn encode_family<M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    kind: MetricType,
    tenants: &[SharedTenant],
    of: impl Fn(&Tenant) -> M,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, unit, kind)?;
    for tenant in tenants {
        of(tenant).encode(family.encode_family(&[("tenant", tenant.name().as_str())])?)?;
    }
    Ok(())
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
