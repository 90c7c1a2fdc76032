//! What a person must look at at once: counted for each tenant, and said in the log.

use domain::departures::Crowd;
use domain::id::TenantId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use runtime::telemetry::{Label, Metrics};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    tenant: Label,
    kind: &'static str,
}

const MASS_DEACTIVATION: &str = "MASS_DEACTIVATION";

/// The alarms. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alarms(Family<Of, Counter>);

impl Alarms {
    /// Has them told with the process's metrics.
    pub(crate) fn register(&self, metrics: &Metrics) {
        metrics.sub_registry("identity_store", |registry| {
            registry.register("alarms", "What a person must look at, by kind", self.0.clone());
        });
    }

    /// So many of a tenant's users were deactivated or deleted within ten minutes that a slip is likelier than the truth.
    /// Nothing is held for it: what takes away is never blocked.
    pub(super) fn crowd_left(&self, tenant: &TenantId, Crowd { departures, users }: Crowd) {
        let of = Of { tenant: tenant.as_str().into(), kind: MASS_DEACTIVATION };
        self.0.get_or_create(&of).inc();
        tracing::error!(%tenant, departures, users,
            "the identity provider deactivates or deletes a crowd within ten minutes: see that it means to");
    }

    #[cfg(test)]
    pub(super) fn crowds(&self, tenant: &TenantId) -> u64 {
        self.0.get_or_create(&Of { tenant: tenant.as_str().into(), kind: MASS_DEACTIVATION }).get()
    }
}
