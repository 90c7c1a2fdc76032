//! What is no longer kept: the feed after seven days, and with it the memberships and names that only it speaks of.

use std::time::Duration;

use domain::clock::Timestamp;
use domain::id::TenantId;
use sql::{Statement, params};

use super::Store;
use crate::failure::Failure;

/// How long the feed is kept.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// The most revisions forgotten in one transaction.
const AT_ONCE: i64 = 1_000;

impl Store {
    /// Forgets, in bounded steps and for every tenant, what is older than seven days.
    pub async fn forget_old(&self) -> Result<(), Failure> {
        let kept = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp(self.clock.now().0.saturating_sub(kept));
        for tenant in self.list_tenants().await? {
            while self.forget_some(&tenant, before).await? {}
        }
        Ok(())
    }

    /// One step; says whether there may be more.
    async fn forget_some(&self, tenant: &TenantId, before: Timestamp) -> Result<bool, Failure> {
        const OLDEST: &str = "SELECT f.revision, f.at FROM feed f WHERE f.tenant = $1 AND f.revision <= \
             (SELECT feed_floor FROM tenants WHERE id = $1) + $2 ORDER BY f.revision, f.part";
        const RAISE: &str = "UPDATE tenants SET feed_floor = $2 WHERE id = $1 AND feed_floor < $2";
        const FEED: &str = "DELETE FROM feed WHERE tenant = $1 AND revision <= $2";
        const MEMBERS: &str = "DELETE FROM members WHERE tenant = $1 AND removed <= $2";
        const NAMES: &str = "DELETE FROM deleted_users WHERE tenant = $1 AND revision <= $2";
        let name = tenant.clone();
        let oldest = self
            .database
            .read(move |tx| {
                Box::pin(async move { Ok::<_, Failure>(tx.rows(OLDEST, params![name.as_str(), AT_ONCE]).await?) })
            })
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
                    tx.batch([RAISE, FEED, MEMBERS, NAMES].map(statement).into()).await?;
                    Ok::<_, Failure>(())
                })
            })
            .await?;
        Ok(more)
    }
}
