//! How many lists are read at once by looking at one resource after the other: few, so that however many are asked for,
//! the database has time for what an index answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::id::TenantId;
use parking_lot::Mutex;
use scim::filter::Reach;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::filter::Criterion;
use super::order::{By, Order};
use crate::failure::Failure;

/// The most of one tenant in this process.
const OF_TENANT: usize = 2;
/// The most of all tenants: half of the connections are left to those who know what they want.
const OF_ALL: usize = 8;
/// How long one waits for its turn.
const WAIT: Duration = Duration::from_secs(1);

/// Whether to read such a list may be to look at many resources.
pub(super) fn looks(order: &Order, criterion: &Criterion) -> bool {
    match criterion.reach() {
        Reach::Few => false,
        Reach::Many => true,
        Reach::All => !criterion.is_exact() || matches!(order.by, By::Attribute(_)),
    }
}

/// Whose turn it is to look. Clones share their turns.
#[derive(Clone, Debug)]
pub(in super::super) struct Scans {
    tenants: Arc<Mutex<HashMap<TenantId, Arc<Semaphore>>>>,
    all: Arc<Semaphore>,
}

/// The right to look; it is given back when dropped.
#[derive(Debug)]
pub(in super::super) struct Turn {
    _tenant: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Default for Scans {
    fn default() -> Self {
        Self { tenants: Arc::default(), all: Arc::new(Semaphore::new(OF_ALL)) }
    }
}

impl Scans {
    /// Waits for a turn; refused with [`Failure::Busy`] if none comes soon.
    pub(in super::super) async fn turn(&self, tenant: &TenantId) -> Result<Turn, Failure> {
        let of_tenant = || Arc::new(Semaphore::new(OF_TENANT));
        let of_tenant = Arc::clone(self.tenants.lock().entry(tenant.clone()).or_insert_with(of_tenant));
        // The tenant's own first: who waits for that takes no turn from others.
        let both = async { Ok((of_tenant.acquire_owned().await?, Arc::clone(&self.all).acquire_owned().await?)) };
        let turn = tokio::time::timeout(WAIT, both).await.map_err(|_| Failure::Busy)?;
        let (tenant, all) = turn.map_err(|_: tokio::sync::AcquireError| Failure::Internal)?;
        Ok(Turn { _tenant: tenant, _all: all })
    }
}

#[cfg(test)]
mod tests {
    use super::{OF_ALL, Scans};
    use crate::failure::Failure;

    #[tokio::test(start_paused = true)]
    async fn who_looks_at_everything_waits_for_its_tenants_others_and_then_for_all() {
        let scans = Scans::default();
        let tenant = |n: usize| format!("t{n}").parse().unwrap();
        let first = scans.turn(&tenant(0)).await.unwrap();
        let second = scans.turn(&tenant(0)).await.unwrap();
        assert!(matches!(scans.turn(&tenant(0)).await, Err(Failure::Busy)), "a third of one tenant");
        let mut others = Vec::new();
        for n in 2..OF_ALL {
            others.push(scans.turn(&tenant(n)).await.unwrap());
        }
        assert!(matches!(scans.turn(&tenant(OF_ALL)).await, Err(Failure::Busy)), "one too many of all");
        drop(first);
        let third = scans.turn(&tenant(0)).await.unwrap();
        drop((second, third));
        let own = tenant(0);
        let (waited, ()) = tokio::join!(scans.turn(&own), async { drop(others) });
        assert!(waited.is_ok());
    }
}
