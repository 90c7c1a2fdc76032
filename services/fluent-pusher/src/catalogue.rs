//! Reading the catalogue: one replica at a time, as often as configured, and sooner when somebody waits for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::catalogue::Place;
use domain::clock::{Clock, Timestamp};
use runtime::error::{Error as PeerError, Reason};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Pushing;
use crate::feed::Known;
use crate::fluent::{Client, Error as FluentError};
use crate::peers::{CatalogueCopy, Identity};
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
    /// What this replica calls itself.
    pub(crate) owner: Arc<str>,
}

impl Reader {
    /// Reads until `stop`: at once, then when the refresh is due or a read is wanted, never more often than allowed.
    pub(crate) async fn run(self, tenant: Arc<Tenant>, known: watch::Receiver<Known>, stop: CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let begun = self.clock.now();
            let wanted = known.borrow().head(&tenant.id).map(|(_, head)| head.catalogue_wanted);
            let pause = match wanted {
                None => self.config.poll,
                Some(wanted) => match self.read(&tenant, wanted).await {
                    Ok(_) => {
                        failures = 0;
                        self.config.catalogue_refresh
                    }
                    Err(error) => {
                        failures += 1;
                        tracing::warn!(tenant = %tenant.id, error = %runtime::error::Chain(&error),
                            "the catalogue could not be read");
                        self.config.backoff.delay(failures, &mut rand::rng()).min(self.config.catalogue_refresh)
                    }
                },
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => continue,
                () = tenant.catalogue.notified(), if wanted.is_some() => {}
            }
            let rest = self.config.catalogue_min_interval.saturating_sub(self.clock.now().since(begun));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// One complete read. `Ok(false)`: another replica holds the lease.
    pub(crate) async fn read(&self, tenant: &Tenant, wanted: u64) -> Result<bool, Failure> {
        let term = self.config.catalogue_min_interval.max(self.config.step) * 2;
        let Some(fence) = self.store.lease_catalogue(&tenant.id, &self.owner, term).await? else {
            return Ok(false);
        };
        let before = self.identity.catalogue(&tenant.id).await?.unwrap_or_default();
        let copy = whole(&tenant.fluent, before).await?;
        match self.identity.put_catalogue(&tenant.id, fence, wanted, copy).await {
            Ok(changed) => {
                if changed {
                    tracing::info!(tenant = %tenant.id, at = %stamp(self.clock.now()), "the catalogue changed");
                }
                Ok(true)
            }
            Err(error) if error.reason() == Reason::FENCED => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn stamp(at: Timestamp) -> String {
    at.rfc3339()
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
