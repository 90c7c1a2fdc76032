//! What is no longer kept: the feed after seven days, and with it the memberships and names that only it speaks of.

use std::time::Duration;

use domain::clock::Timestamp;
use domain::id::TenantId;
use sql::{Statement, params};

use super::Store;
use crate::failure::Failure;

/// How long the feed is kept.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// The most entries of the feed that one transaction looks at, each with up to 5,000 members. A change's entries go
/// together.
const ENTRIES: i64 = 50;
/// The most rows that one transaction forgets because no entry speaks of them any more.
const ROWS: i64 = 5_000;

/// What the feed alone speaks of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Past {
    /// Memberships that have ended.
    Members,
    /// Names of users who are gone.
    Names,
}

impl Store {
    /// Forgets, in bounded steps and for every tenant, what is older than seven days.
    pub async fn forget_old(&self) -> Result<(), Failure> {
        let kept = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp(self.clock.now().0.saturating_sub(kept));
        for tenant in self.list_tenants().await? {
            while self.forget_entries(&tenant, before).await? {}
            for past in [Past::Members, Past::Names] {
                while self.forget_past(&tenant, past).await? > 0 {}
            }
        }
        Ok(())
    }

    /// Raises the floor of the feed by one step; says whether there may be more.
    async fn forget_entries(&self, tenant: &TenantId, before: Timestamp) -> Result<bool, Failure> {
        const OLDEST: &str = "SELECT revision, at FROM feed WHERE tenant = $1 ORDER BY revision, part LIMIT $2";
        const RAISE: &str = "UPDATE tenants SET feed_floor = $2 WHERE id = $1 AND feed_floor < $2";
        const FEED: &str = "DELETE FROM feed WHERE tenant = $1 AND revision <= $2";
        let values = params![tenant.as_str(), ENTRIES];
        let oldest = self
            .database
            .read(move |tx| Box::pin(async move { Ok::<_, Failure>(tx.rows(OLDEST, values).await?) }))
            .await?;
        // In order of revision, so that a clock that was set back can't tear a hole.
        let mut floor = None;
        for row in &oldest {
            if row.int(1)? >= before.0 {
                break;
            }
            floor = Some(row.int(0)?);
        }
        let Some(floor) = floor else { return Ok(false) };
        let more = oldest.last().is_some_and(|row| row.int(0).is_ok_and(|last| last == floor));
        let name = tenant.clone();
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    let statement = |sql| Statement::new(sql, params![name.as_str(), floor]);
                    tx.batch([RAISE, FEED].map(statement).into()).await?;
                    Ok::<_, Failure>(())
                })
            })
            .await?;
        Ok(more)
    }

    /// One step of forgetting what only entries below the floor spoke of; answers how many rows that was.
    pub(super) async fn forget_past(&self, tenant: &TenantId, past: Past) -> Result<u64, Failure> {
        const MEMBERS: &str = "DELETE FROM members WHERE tenant = $1 AND (group_id, member_id, added) IN \
             (SELECT m.group_id, m.member_id, m.added FROM members m WHERE m.tenant = $1 AND m.removed <= \
             (SELECT feed_floor FROM tenants WHERE id = $1) LIMIT $2)";
        const NAMES: &str = "DELETE FROM deleted_users WHERE tenant = $1 AND id IN \
             (SELECT d.id FROM deleted_users d WHERE d.tenant = $1 AND d.revision <= \
             (SELECT feed_floor FROM tenants WHERE id = $1) LIMIT $2)";
        let sql = match past {
            Past::Members => MEMBERS,
            Past::Names => NAMES,
        };
        let values = params![tenant.as_str(), ROWS];
        self.database.write(move |tx| Box::pin(async move { Ok::<_, Failure>(tx.execute(sql, values).await?) })).await
    }
}
