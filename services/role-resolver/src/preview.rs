//! What a change would do to people before it is made. identity-store finds that out, as it does for the changes that it
//! lets wait; here it is said for whom, and how many ask at a time: each may have everyone of a tenant looked at.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::difference::Difference;
use domain::id::{GroupId, TenantId, UserId};
use domain::revision::Position;
use parking_lot::Mutex;
use runtime::error::{Error, Reason};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most previews of one tenant at a time.
const MOST: usize = 2;
/// When it is worth asking again.
const LATER: Duration = Duration::from_secs(5);

/// What would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The tenant's own rules, in the JSON format of Fluent's setting.
    Rules(String),
    /// A group's own labels.
    LabelsOfGroup {
        /// The group.
        group: GroupId,
        /// What they would be.
        labels: Vec<String>,
    },
}

/// Some of those for whom a change would make a difference.
#[derive(Debug)]
pub(crate) struct Differences {
    /// What it would do to each.
    pub(crate) users: Vec<(UserId, Difference)>,
    /// The state of the store they were read from.
    pub(crate) position: Position,
}

/// The previews under way.
#[derive(Debug, Default)]
pub(crate) struct Previews(Mutex<HashMap<TenantId, Arc<Semaphore>>>);

impl Previews {
    /// A turn for one more; it ends when it is dropped.
    pub(crate) fn turn(&self, tenant: &TenantId) -> Result<OwnedSemaphorePermit, Error> {
        let mut turns = self.0.lock();
        // Tenants of whom nobody asks any more leave nothing behind.
        turns.retain(|_, turns| turns.available_permits() < MOST);
        let turns = Arc::clone(turns.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(MOST))));
        turns.try_acquire_owned().map_err(|_| {
            let message =
                format!("{MOST} previews of the tenant are under way, which is as many as one process answers");
            Error::new(Reason::RESOURCE_EXHAUSTED, message).retry_after(LATER)
        })
    }
}

#[cfg(test)]
mod tests {
    use runtime::error::Reason;

    use super::Previews;

    #[test]
    fn a_tenant_has_so_many_previews_at_a_time_and_no_more_and_one_that_ends_makes_room() {
        let (previews, acme, other) = (Previews::default(), "acme".parse().unwrap(), "other".parse().unwrap());
        let (first, second) = (previews.turn(&acme).unwrap(), previews.turn(&acme).unwrap());
        assert_eq!(previews.turn(&acme).unwrap_err().reason(), Reason::RESOURCE_EXHAUSTED);
        assert!(previews.turn(&other).is_ok(), "another's are its own");
        drop(first);
        let _third = previews.turn(&acme).unwrap();
        assert!(previews.turn(&acme).is_err());
        drop(second);
        assert!(previews.turn(&acme).is_ok());
        assert_eq!(previews.0.lock().len(), 1, "who has none under way leaves nothing behind");
    }
}
