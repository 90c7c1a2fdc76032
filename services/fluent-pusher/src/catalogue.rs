//! Reading the catalogue, and Fluent's rules with it: one replica at a time, as often as configured, and sooner when somebody waits for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::catalogue::Place;
use domain::clock::{Clock, Timestamp};
use runtime::error::{Error as PeerError, Reason};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Pushing;
use crate::feed::Known;
use crate::fluent::{Client, Error as FluentError};
use crate::metrics::{Counts, GROUND_WAITS, RULES_MALFORMED};
use crate::peers::{CatalogueCopy, CatalogueKept, Ground, Identity, RulesRead};
use crate::store::Store;
use crate::tenants::Tenant;

/// Why a read did not come to its end. The copy that is kept stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("Fluent failed")]
    Fluent(#[from] FluentError),
    #[error("identity-store failed")]
    Peer(#[from] PeerError),
    #[error("the pusher's own tables failed")]
    Store(#[from] sql::Error),
}

/// One replica's reader.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) store: Store,
    pub(crate) identity: Identity,
    pub(crate) clock: Clock,
    pub(crate) config: Pushing,
    pub(crate) counts: Counts,
}

impl Reader {
    /// Reads until `stop`: at once, then when the refresh is due or a read is wanted, never more often than allowed.
    pub(crate) async fn run(self, tenant: Arc<Tenant>, known: watch::Receiver<Known>, stop: CancellationToken) {
        stop.run_until_cancelled(self.keep_reading(&tenant, known)).await;
    }

    async fn keep_reading(&self, tenant: &Tenant, mut known: watch::Receiver<Known>) {
        let mut failures = 0;
        // The first read is made whatever others did: what identity-store keeps may have been restored from a backup.
        let mut reason = Why::Asked;
        // A tenant that identity-store does not know yet has no copy to keep.
        while known.wait_for(|known| known.head(&tenant.id).is_some()).await.is_ok() {
            let begun = self.clock.now();
            let pause = match self.read(tenant, wanted(&known, tenant).0, reason).await {
                Ok(true) => {
                    failures = 0;
                    self.config.catalogue_refresh
                }
                // Another replica reads, or has read. Should it fall silent, its turn is taken.
                Ok(false) => self.config.catalogue_min_interval.max(self.config.poll),
                Err(error) => {
                    failures += 1;
                    let error = runtime::error::Chain(&error);
                    tracing::warn!(tenant = %tenant.id, %error, "the catalogue could not be read");
                    self.config.backoff.delay(failures, &mut rand::rng()).min(self.config.catalogue_refresh)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => reason = Why::Refresh,
                () = is_wanted(&known, tenant) => {
                    let rest = self.config.catalogue_min_interval.saturating_sub(self.clock.now().since(begun));
                    tokio::time::sleep(rest).await;
                    reason = Why::Asked;
                }
            }
        }
    }

    /// One complete read. `Ok(false)`: another replica has read, or is at it.
    pub(crate) async fn read(&self, tenant: &Tenant, wanted: u64, why: Why) -> Result<bool, Failure> {
        let begun = self.clock.now();
        let fresh = match why {
            Why::Asked => None,
            Why::Refresh => Some(Timestamp(begun.0.saturating_sub(micros(self.config.catalogue_refresh)))),
        };
        let lease = self.store.lease_catalogue(&tenant.id, self.config.step, fresh).await?;
        let Some(fence) = lease else { return Ok(false) };
        let Ground { catalogue: before, rules_setting_id, .. } = self.identity.kept(&tenant.id).await?;
        let copy = whole(&tenant.fluent, before.unwrap_or_default()).await?;
        let rules = tenant.rules.read(&tenant.fluent, rules_setting_id.as_deref()).await?;
        if let RulesRead::Fault(fault) = &rules {
            self.counts.alert(tenant.id.as_str(), RULES_MALFORMED);
            tracing::error!(tenant = %tenant.id, fault, "Fluent's rules can't be taken; those read before stay in force");
        }
        match self.identity.put_catalogue(&tenant.id, fence, wanted, copy, rules).await {
            Ok(kept) => {
                match kept {
                    CatalogueKept::Same => {}
                    CatalogueKept::Changed => tracing::info!(tenant = %tenant.id, "the catalogue or the rules changed"),
                    CatalogueKept::Waits => {
                        self.counts.alert(tenant.id.as_str(), GROUND_WAITS);
                        tracing::warn!(
                            tenant = %tenant.id,
                            "what was read in Fluent would hit more people than the tenant's limit; it waits for \
                             `rolecall tenant ground confirm`"
                        );
                    }
                }
                let until = begun.plus(self.config.catalogue_min_interval);
                self.store.end_catalogue(&tenant.id, fence, begun, until).await?;
                Ok(true)
            }
            Err(error) if error.reason() == Reason::FENCED => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Why the catalogue is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody waits for a read newer than the last, or it is the first here.
    Asked,
    /// The copy is to be kept young; a read by another replica will do.
    Refresh,
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The number that calls wait for, and the number served.
fn wanted(known: &watch::Receiver<Known>, tenant: &Tenant) -> (u64, u64) {
    let head = known.borrow().head(&tenant.id).map(|(_, head)| head);
    head.map_or((0, 0), |head| (head.catalogue_wanted, head.catalogue_served))
}

/// Completes when somebody waits for a newer read. A bell that rang for the read just made is passed over.
async fn is_wanted(known: &watch::Receiver<Known>, tenant: &Tenant) {
    loop {
        tenant.catalogue.notified().await;
        let (wanted, served) = wanted(known, tenant);
        if wanted > served {
            return;
        }
    }
}

/// Everything the lists hold, and what only `before` held as far as its own query still finds it: a list may be read
/// while it changes, and a page may leave out what it should not. Whoever loses a grant by it has lost it for sure.
async fn whole(fluent: &Client, before: CatalogueCopy) -> Result<CatalogueCopy, FluentError> {
    let CatalogueCopy { roles: old_roles, retailers: old_retailers, locations: old_locations } = before;
    let mut roles: BTreeSet<String> = fluent.roles().await?.into_iter().collect();
    for name in old_roles {
        if !roles.contains(&name) && fluent.role_exists(&name).await? {
            roles.insert(name);
        }
    }
    let mut retailers = fluent.retailers().await?;
    for id in missing(&old_retailers, &retailers) {
        retailers.extend(fluent.retailer(&id).await?);
    }
    let mut locations = fluent.locations().await?;
    for id in missing(&old_locations, &locations) {
        locations.extend(fluent.location(&id).await?);
    }
    Ok(CatalogueCopy { roles: roles.into_iter().collect(), retailers, locations })
}

fn missing(old: &[Place], new: &[Place]) -> Vec<Arc<str>> {
    let there: BTreeSet<&str> = new.iter().map(|place| &*place.id).collect();
    old.iter().filter(|place| !there.contains(&*place.id)).map(|place| Arc::clone(&place.id)).collect()
}

#[cfg(test)]
mod tests;
