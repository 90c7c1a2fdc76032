//! What operators and metrics see of the work list.

use std::time::Duration;

use domain::clock::Timestamp;
use domain::id::{TenantId, UserId};
use sql::params;

use super::{Error, Store, user_id};

/// A tenant's work, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Accounts that are due.
    pub due: u64,
    /// Those of them that may have something taken away.
    pub due_revocations: u64,
    /// How long the oldest of those has waited.
    pub oldest_revocation: Duration,
    /// Accounts whose push failed for good.
    pub failed: u64,
}

/// An account that needs a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attention {
    /// The user it belongs to.
    pub user: UserId,
    /// Why.
    pub reason: String,
    /// More, for people.
    pub detail: String,
}

impl Store {
    /// Counts a tenant's work.
    pub async fn backlog(&self, tenant: &TenantId) -> Result<Backlog, Error> {
        let (tenant, now) = (tenant.clone(), self.now());
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT COUNT(*), COUNT(CASE WHEN revokes > 0 THEN 1 END), MIN(revokes_since) \
                               FROM push_work WHERE tenant = $1 AND due_at IS NOT NULL";
                    let due = tx.row(sql, params![tenant.as_str()]).await?;
                    let sql = "SELECT COUNT(*) FROM push_work WHERE tenant = $1 AND attention = 'FAILED'";
                    let failed = tx.row(sql, params![tenant.as_str()]).await?;
                    let count = |number: i64| u64::try_from(number).unwrap_or(0);
                    let mut backlog = Backlog::default();
                    if let Some(row) = due {
                        backlog.due = count(row.int(0)?);
                        backlog.due_revocations = count(row.int(1)?);
                        backlog.oldest_revocation =
                            row.maybe_int(2)?.map_or(Duration::ZERO, |at| now.since(Timestamp(at)));
                    }
                    if let Some(row) = failed {
                        backlog.failed = count(row.int(0)?);
                    }
                    Ok(backlog)
                })
            })
            .await
    }

    /// The accounts that need a person, at most `limit`.
    pub async fn attention(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Attention>, Error> {
        let tenant = tenant.clone();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT user_id, attention, COALESCE(detail, '') FROM push_work \
                               WHERE tenant = $1 AND attention IS NOT NULL ORDER BY account LIMIT $2";
                    let mut accounts = Vec::new();
                    for row in tx.rows(sql, params![tenant.as_str(), limit]).await? {
                        if let Some(user) = user_id(&row, 0)? {
                            let (reason, detail) = (row.text(1)?.to_owned(), row.text(2)?.to_owned());
                            accounts.push(Attention { user, reason, detail });
                        }
                    }
                    Ok(accounts)
                })
            })
            .await
    }
}
