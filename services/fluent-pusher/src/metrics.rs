//! What the pusher counts.

use std::borrow::Cow;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use runtime::telemetry::{Label, Metrics};

use crate::outcome::{ACCOUNT_EXISTS, PROTECTED};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    tenant: Label,
    kind: Cow<'static, str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTenant {
    tenant: Label,
}

/// Another life of identity-store's database.
pub(crate) const RESTORED: &str = "RESTORED";
/// Fluent's rules can't be taken.
pub(crate) const RULES_MALFORMED: &str = "RULES_MALFORMED";
/// A read of Fluent waits for an operator.
pub(crate) const GROUND_WAITS: &str = "GROUND_WAITS";
/// The account that is known to be a user's bears another name.
pub(crate) const STRANGER: &str = "STRANGER";
/// What alerts are about.
const ALERTS: [&str; 6] = [RESTORED, RULES_MALFORMED, GROUND_WAITS, STRANGER, PROTECTED, ACCOUNT_EXISTS];

/// The pusher's counts. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pushes: Family<Of, Counter>,
    alerts: Family<Of, Counter>,
    oldest_revocation: Family<OfTenant, Gauge<f64, AtomicU64>>,
    due: Family<OfTenant, Gauge>,
}

impl Counts {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let counts = Self {
            pushes: Family::default(),
            alerts: Family::default(),
            oldest_revocation: Family::default(),
            due: Family::default(),
        };
        metrics.sub_registry("pusher", |registry| {
            registry.register("pushes", "Accounts looked at, by how that ended", counts.pushes.clone());
            registry.register("alerts", "What a person must look at, by kind", counts.alerts.clone());
            registry.register(
                "oldest_unpushed_revocation_age_seconds",
                "How long the oldest revocation that is not pushed has waited; 0 for none",
                counts.oldest_revocation.clone(),
            );
            registry.register("due_accounts", "Accounts that are due", counts.due.clone());
        });
        counts
    }

    /// There is such a tenant. Its alerts are counted from zero on: of a series that begins with one, nobody sees the rise.
    pub(crate) fn know(&self, tenant: &str) {
        for kind in ALERTS {
            drop(self.alerts.get_or_create(&Of { tenant: tenant.into(), kind: kind.into() }));
        }
    }

    pub(crate) fn pushed(&self, tenant: &str, result: &'static str) {
        self.pushes.get_or_create(&Of { tenant: tenant.into(), kind: result.into() }).inc();
    }

    pub(crate) fn alert(&self, tenant: &str, kind: &'static str) {
        self.alerts.get_or_create(&Of { tenant: tenant.into(), kind: kind.into() }).inc();
    }

    #[cfg(test)]
    pub(crate) fn alerts_of(&self, tenant: &str, kind: &'static str) -> u64 {
        self.alerts.get_or_create(&Of { tenant: tenant.into(), kind: kind.into() }).get()
    }

    pub(crate) fn backlog(&self, tenant: &str, oldest_revocation_seconds: f64, due: u64) {
        let labels = OfTenant { tenant: tenant.into() };
        self.oldest_revocation.get_or_create(&labels).set(oldest_revocation_seconds);
        self.due.get_or_create(&labels).set(i64::try_from(due).unwrap_or(i64::MAX));
    }
}
