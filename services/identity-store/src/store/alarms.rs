//! What a person must look at at once: counted for each tenant, and said in the log. And how many are held back.

use domain::departures::Crowd;
use domain::id::TenantId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use runtime::telemetry::{Label, Metrics};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    tenant: Label,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTenant {
    tenant: Label,
}

const MASS_DEACTIVATION: &str = "MASS_DEACTIVATION";

/// The alarms. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alarms {
    raised: Family<Of, Counter>,
    held_back: Family<OfTenant, Gauge>,
}

impl Alarms {
    /// Has them told with the process's metrics.
    pub(crate) fn register(&self, metrics: &Metrics) {
        metrics.sub_registry("identity_store", |registry| {
            registry.register("alarms", "What a person must look at, by kind", self.raised.clone());
            let help = "Users who left and whose accounts are kept until an operator releases them";
            registry.register("held_back_users", help, self.held_back.clone());
        });
    }

    /// There is such a tenant, and so many of its users are held back. Its alarms are counted from zero on: of a series that
    /// begins with one, nobody sees the rise.
    pub(super) fn know(&self, tenant: &TenantId, held_back: i64) {
        drop(self.raised.get_or_create(&Of { tenant: tenant.as_str().into(), kind: MASS_DEACTIVATION }));
        self.held_back.get_or_create(&OfTenant { tenant: tenant.as_str().into() }).set(held_back);
    }

    /// So many of a tenant's users were deactivated or deleted within ten minutes that a slip is likelier than the truth.
    /// `held_back` of the last of them are held back; none where the tenant does not have the guard hold.
    pub(super) fn crowd_left(&self, tenant: &TenantId, Crowd { departures, users }: Crowd, held_back: u64) {
        self.raised.get_or_create(&Of { tenant: tenant.as_str().into(), kind: MASS_DEACTIVATION }).inc();
        if held_back > 0 {
            tracing::error!(%tenant, departures, users, held_back,
                "the identity provider deactivates or deletes a crowd within ten minutes: accounts of those from now on are \
                 kept until they are released");
        } else {
            tracing::error!(%tenant, departures, users,
                "the identity provider deactivates or deletes a crowd within ten minutes: see that it means to");
        }
    }

    #[cfg(test)]
    pub(super) fn crowds(&self, tenant: &TenantId) -> u64 {
        self.raised.get_or_create(&Of { tenant: tenant.as_str().into(), kind: MASS_DEACTIVATION }).get()
    }
}
