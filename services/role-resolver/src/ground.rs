//! The ground of each tenant (catalogue, rules, account name), kept in memory.
//!
//! A ground is known by its epoch and version and never changes under them, so a kept one can't be stale: whoever needs
//! another version asks for it, and the store is read only then. Readers of one tenant share one read.

use std::collections::HashMap;
use std::sync::Arc;

use domain::catalogue::Catalogue;
use domain::id::TenantId;
use domain::revision::{Epoch, Revision};
use domain::rules::Rules;
use parking_lot::Mutex;
use runtime::error::{Error, Reason};

use crate::peers::Store;

/// Names one ground: the life of the database, and the revision that last changed catalogue, rules or settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroundVersion {
    /// The life of the database.
    pub(crate) epoch: Epoch,
    /// The revision.
    pub(crate) revision: Revision,
}

/// What labels are matched against.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ground {
    /// Which one it is.
    pub(crate) version: GroundVersion,
    /// What Fluent recognises; `None` before the first complete read of it.
    pub(crate) catalogue: Option<Catalogue>,
    /// The tenant's rules.
    pub(crate) rules: Rules,
    /// Whether the names of groups are labels.
    pub(crate) names_are_labels: bool,
}

/// What the store answers to one who may hold the ground already.
#[derive(Debug)]
pub(crate) enum GroundRead {
    /// The version is the one the caller named; nothing else was sent.
    Unchanged(GroundVersion),
    /// All of it.
    Whole(Ground),
}

/// The grounds in memory.
#[derive(Debug, Default)]
pub(crate) struct Grounds {
    tenants: Mutex<HashMap<TenantId, Arc<Slot>>>,
}

/// One tenant's ground, and the right to read a newer one.
#[derive(Debug, Default)]
struct Slot {
    kept: Mutex<Option<Arc<Ground>>>,
    reading: tokio::sync::Mutex<()>,
}

impl Grounds {
    /// The ground of `wanted`, or a newer one if the store has moved on since `wanted` was read.
    pub(crate) async fn at_least(
        &self,
        store: &Store,
        tenant: &TenantId,
        wanted: GroundVersion,
    ) -> Result<Arc<Ground>, Error> {
        let slot = self.slot(tenant);
        if let Some(kept) = slot.kept_at(wanted) {
            return Ok(kept);
        }
        let _turn = slot.reading.lock().await;
        // Whoever was first has read it for those who waited.
        if let Some(kept) = slot.kept_at(wanted) {
            return Ok(kept);
        }
        self.read(store, tenant, &slot).await
    }

    /// The ground as the store has it now.
    pub(crate) async fn newest(&self, store: &Store, tenant: &TenantId) -> Result<Arc<Ground>, Error> {
        let slot = self.slot(tenant);
        let Some(kept) = slot.kept.lock().clone() else {
            let _turn = slot.reading.lock().await;
            return self.read(store, tenant, &slot).await;
        };
        match store.ground(tenant.as_str(), Some(kept.version.revision.0)).await? {
            GroundRead::Unchanged(version) if version == kept.version => Ok(kept),
            // The same number in another life of the database is another ground.
            GroundRead::Unchanged(_) => self.read(store, tenant, &slot).await,
            GroundRead::Whole(ground) => Ok(slot.keep(ground)),
        }
    }

    fn slot(&self, tenant: &TenantId) -> Arc<Slot> {
        Arc::clone(self.tenants.lock().entry(tenant.clone()).or_default())
    }

    async fn read(&self, store: &Store, tenant: &TenantId, slot: &Slot) -> Result<Arc<Ground>, Error> {
        match store.ground(tenant.as_str(), None).await {
            Ok(GroundRead::Whole(ground)) => Ok(slot.keep(ground)),
            Ok(GroundRead::Unchanged(_)) => {
                Err(Error::new(Reason::INTERNAL, "identity-store left out a ground that nobody said to have"))
            }
            Err(error) => {
                // A tenant that does not exist leaves nothing behind.
                if slot.kept.lock().is_none() {
                    self.tenants.lock().remove(tenant);
                }
                Err(error)
            }
        }
    }
}

impl Slot {
    /// The ground kept, if it is `wanted`. A later one is not taken for it: the store may have gone back.
    fn kept_at(&self, wanted: GroundVersion) -> Option<Arc<Ground>> {
        self.kept.lock().clone().filter(|kept| kept.version == wanted)
    }

    /// Keeps what the store has now. Should that be earlier than what was kept, in one life of the database, it was
    /// restored and nobody said so: what was learnt of its lost future is dropped.
    fn keep(&self, read: Ground) -> Arc<Ground> {
        let read = Arc::new(read);
        let before = self.kept.lock().replace(Arc::clone(&read));
        let is_back = |kept: Arc<Ground>| {
            kept.version.epoch == read.version.epoch && kept.version.revision > read.version.revision
        };
        if before.is_some_and(is_back) {
            tracing::error!("the store went back without a new epoch: run `rolecall identity-store restored`");
        }
        read
    }
}
