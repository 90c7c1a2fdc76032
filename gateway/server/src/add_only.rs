//! Notices an identity provider that only ever adds roles.
//!
//! Some of Entra's app-role mappings never remove one. Under `roles_patch: as_sent` its
//! people then keep what they were to lose, and nobody would be told: so a tenant whose patches add roles to people who
//! have some, again and again, and never take one, raises a warning. `roles_patch: overwrite` is the cure.

use std::collections::{BTreeSet, HashMap};

use domain::id::TenantId;
use domain::label::Label;
use domain::settings::RolesPatch;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use runtime::telemetry::Metrics;

use crate::guardrail::Settings;

/// From how many such patches in a row on there is a warning.
const SUSPICIOUS: u32 = 20;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTenant {
    tenant: runtime::telemetry::Label,
}

/// What each tenant's patches did to roles, as this process saw it.
#[derive(Debug)]
pub(crate) struct AddOnly {
    /// How many added a role to somebody who had others, since one took a role away.
    in_a_row: Mutex<HashMap<TenantId, u32>>,
    warned: Family<OfTenant, Gauge>,
}

impl AddOnly {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let warned = Family::<OfTenant, Gauge>::default();
        metrics.sub_registry("gateway", |registry| {
            let help = "1 where an identity provider only ever adds roles, so that people keep what they should lose";
            registry.register("roles_only_added", help, warned.clone());
        });
        Self { in_a_row: Mutex::default(), warned }
    }

    /// A PATCH turned a user's labels from `before` into `after`.
    pub(crate) fn note(
        &self,
        tenant: &TenantId,
        settings: &Settings,
        before: &BTreeSet<Label>,
        after: &BTreeSet<Label>,
    ) {
        if before == after {
            return;
        }
        let only_adds = settings.roles_patch == RolesPatch::AsSent && !before.is_empty() && before.is_subset(after);
        let takes = !before.is_subset(after) || settings.roles_patch == RolesPatch::Overwrite;
        let mut in_a_row = self.in_a_row.lock();
        let count = in_a_row.entry(tenant.clone()).or_default();
        let of = || OfTenant { tenant: tenant.as_str().into() };
        if takes {
            if *count >= SUSPICIOUS {
                self.warned.get_or_create(&of()).set(0);
            }
            *count = 0;
        } else if only_adds {
            *count = count.saturating_add(1);
            if *count == SUSPICIOUS {
                tracing::warn!(
                    tenant = tenant.as_str(),
                    "the identity provider only ever adds roles, so people keep those they should lose; \
                     if it means each PATCH as the whole list, set `--roles-patch overwrite`"
                );
                self.warned.get_or_create(&of()).set(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::label::Label;
    use domain::settings::{RolesPatch, Settings};
    use runtime::telemetry::Metrics;

    use super::{AddOnly, SUSPICIOUS};

    #[test]
    fn a_provider_that_never_takes_a_role_is_noticed_until_it_takes_one() {
        let metrics = Metrics::new();
        let add_only = AddOnly::new(&metrics);
        let tenant = "acme".parse().unwrap();
        let labels = |texts: &[&str]| -> BTreeSet<Label> { texts.iter().map(|text| Label::new(text)).collect() };
        let warned = |value: u8| {
            metrics.encode().contains(&format!("rolecall_gateway_roles_only_added{{tenant=\"acme\"}} {value}\n"))
        };
        let settings = Settings::default();
        let adds = |settings: &Settings, times| {
            for _ in 0..times {
                add_only.note(&tenant, settings, &labels(&["A"]), &labels(&["A", "B"]));
            }
        };
        for _ in 0..2 * SUSPICIOUS {
            add_only.note(&tenant, &settings, &labels(&[]), &labels(&["A"]));
            add_only.note(&tenant, &settings, &labels(&["A"]), &labels(&["A"]));
        }
        adds(&settings, SUSPICIOUS - 1);
        assert!(!warned(1), "first roles are given by everybody");
        adds(&settings, 1);
        assert!(warned(1));
        add_only.note(&tenant, &settings, &labels(&["A", "B"]), &labels(&["B"]));
        assert!(warned(0));
        let overwrite = Settings { roles_patch: RolesPatch::Overwrite, ..Settings::default() };
        adds(&overwrite, 2 * SUSPICIOUS);
        assert!(warned(0));
    }
}
