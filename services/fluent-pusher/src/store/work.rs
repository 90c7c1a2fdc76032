//! The work list: leasing an entry, and giving it back.

use std::time::Duration;

use domain::clock::Timestamp;
use domain::id::{TenantId, UserId};
use domain::revision::Position;
use sql::{Tx, params};

use super::enqueue::{self, Change};
use super::{Error, Store, make_due, position, user_id};

/// An account to be looked at, leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The account: the folded user name.
    pub account: String,
    /// The user it belongs to.
    pub user: UserId,
    /// The name the user bears, or last bore, as far as the feed has been read.
    pub user_name: String,
    /// As of which position it is to be looked at.
    pub desired: Position,
    /// The feed's word that the user is deleted or inactive.
    pub gone: bool,
    /// Whether something may have to be taken away.
    pub revokes: bool,
    /// Whether the user had another account, which the next bearer of that name took over, and nobody has decided yet
    /// that it gets this one.
    pub renamed: bool,
    /// How often it has failed in a row.
    pub attempts: u32,
    /// The lease.
    pub lease: Lease,
}

/// The right to work on one entry, for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Told apart from every other lease of the entry by this number.
    pub fence: i64,
    /// Past this, another may have it: nothing is sent any more.
    pub until: Timestamp,
}

/// How work on an entry ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Fluent is as it should be, or as it may be: nothing is to be done until something changes.
    Done {
        /// Why a person should look at it all the same.
        attention: Option<&'static str>,
    },
    /// The same, and the account was given up: the user is looked at again under the name it now bears.
    Released {
        /// That name.
        user_name: String,
    },
    /// Again at that time.
    Again {
        /// When.
        at: Timestamp,
        /// Whether the wait grows the next time.
        counts: bool,
    },
    /// Failed for good; with a time, it is tried again all the same: what must be taken away is never given up.
    Failed {
        /// Fluent's own message.
        detail: String,
        /// When it is tried again.
        again: Option<Timestamp>,
    },
}

impl Store {
    /// Leases up to `limit` entries that are due, for `term`: those that take something away first, then the oldest.
    pub async fn claim(&self, tenant: &TenantId, limit: usize, term: Duration) -> Result<Vec<Job>, Error> {
        let (tenant, owner, now) = (tenant.clone(), self.instance.clone(), self.now());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.database.write(move |tx| Box::pin(async move { claim(tx, &tenant, &owner, limit, now, term).await })).await
    }

    /// Gives back what this instance had leased in an earlier life, so that nothing waits for a worker that is gone. To
    /// be called before the first claim.
    pub async fn take_back(&self) -> Result<(), Error> {
        let owner = self.instance.clone();
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE push_work SET lease_until = 0 WHERE lease_owner = $1 AND lease_until > 0";
                    tx.execute(sql, params![&*owner]).await.map(drop)
                })
            })
            .await
    }

    /// Gives an entry back. `report` is what identity-store shall be told. Whoever lost the lease changes nothing by it:
    /// the entry is made due, since what it sent may have crossed what its successor sent. Answers whether the lease
    /// still held. Were it lost with the machine, the account would be looked at again.
    pub async fn finish(
        &self,
        tenant: &TenantId,
        job: &Job,
        ending: Ending,
        report: Option<Vec<u8>>,
    ) -> Result<bool, Error> {
        let (tenant, job, now) = (tenant.clone(), job.clone(), self.now());
        self.database
            .write_soon(move |tx| Box::pin(async move { finish(tx, &tenant, &job, ending, report, now).await }))
            .await
    }

    /// When the next entry is due; `None` if none is.
    pub async fn next_due(&self, tenant: &TenantId) -> Result<Option<Timestamp>, Error> {
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT MIN(CASE WHEN lease_until > due_at THEN lease_until ELSE due_at END) \
                               FROM push_work WHERE tenant = $1 AND due_at IS NOT NULL";
                    let row = tx.row(sql, params![tenant.as_str()]).await?;
                    Ok(row.map(|row| row.maybe_int(0)).transpose()?.flatten().map(Timestamp))
                })
            })
            .await
    }

    /// Up to `limit` outcomes that identity-store has not been told.
    pub async fn unreported(&self, tenant: &TenantId, limit: usize) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let tenant = tenant.clone();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT account, report FROM push_work WHERE tenant = $1 AND report IS NOT NULL LIMIT $2";
                    let rows = tx.rows(sql, params![tenant.as_str(), limit]).await?;
                    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.bytes(1)?.to_vec()))).collect()
                })
            })
            .await
    }

    /// These outcomes have been told. One that changed since stays; told twice, it is told once.
    pub async fn reported(&self, tenant: &TenantId, reports: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        let tenant = tenant.clone();
        self.database
            .write_soon(move |tx| {
                Box::pin(async move {
                    const SQL: &str =
                        "UPDATE push_work SET report = NULL WHERE tenant = $1 AND account = $2 AND report = $3";
                    let clear = |(account, report)| sql::Statement::new(SQL, params![tenant.as_str(), account, report]);
                    tx.batch(reports.into_iter().map(clear).collect::<Vec<_>>()).await?;
                    Ok(())
                })
            })
            .await
    }
}

async fn claim(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    owner: &str,
    limit: i64,
    now: Timestamp,
    term: Duration,
) -> Result<Vec<Job>, Error> {
    let sql = "SELECT account, user_id, user_name, desired_epoch, desired_revision, gone, revokes, attempts, fence, renamed \
               FROM push_work WHERE tenant = $1 AND due_at <= $2 AND lease_until <= $2 \
               ORDER BY revokes DESC, due_at LIMIT $3 {skip locked}";
    let rows = tx.rows(sql, params![tenant.as_str(), now.0, limit]).await?;
    let until = now.plus(term);
    let mut jobs = Vec::with_capacity(rows.len());
    let mut leases = Vec::with_capacity(rows.len());
    for row in &rows {
        let (Some(user), Some(desired)) = (user_id(row, 1)?, position(row, 3, 4)?) else { continue };
        let account = row.text(0)?.to_owned();
        let fence = row.int(8)? + 1;
        let sql =
            "UPDATE push_work SET lease_until = $3, fence = $4, lease_owner = $5 WHERE tenant = $1 AND account = $2";
        leases.push(sql::Statement::new(sql, params![tenant.as_str(), &account, until.0, fence, owner]));
        jobs.push(Job {
            account,
            user,
            user_name: row.text(2)?.to_owned(),
            desired,
            gone: row.flag(5)?,
            revokes: row.flag(6)?,
            renamed: row.flag(9)?,
            attempts: u32::try_from(row.int(7)?).unwrap_or(u32::MAX),
            lease: Lease { fence, until },
        });
    }
    tx.batch(leases).await?;
    Ok(jobs)
}

/// What the work was done for may have been overtaken meanwhile: then the entry stays due.
async fn finish(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    job: &Job,
    ending: Ending,
    report: Option<Vec<u8>>,
    now: Timestamp,
) -> Result<bool, Error> {
    let Position { epoch, revision } = job.desired;
    let entry = params![
        tenant.as_str(),
        job.account.as_str(),
        job.lease.fence,
        epoch.as_bytes(),
        revision.to_db(),
        job.user.as_bytes(),
        report
    ];
    let with = |more: Vec<sql::Value>| entry.iter().cloned().chain(more).collect::<Vec<_>>();
    let changed = match &ending {
        Ending::Done { .. } | Ending::Released { .. } => {
            let attention = if let Ending::Done { attention } = ending { attention } else { None };
            let sql = "UPDATE push_work SET lease_until = 0, attempts = 0, \
                       attention = $8, detail = NULL, report = COALESCE($7, report), \
                       due_at = CASE WHEN desired_epoch = $4 AND desired_revision = $5 AND user_id = $6 THEN NULL \
                       ELSE due_at END, \
                       revokes = CASE WHEN desired_epoch = $4 AND desired_revision = $5 AND user_id = $6 THEN 0 \
                       ELSE revokes END, \
                       revokes_since = CASE WHEN desired_epoch = $4 AND desired_revision = $5 AND user_id = $6 \
                       THEN NULL ELSE revokes_since END \
                       WHERE tenant = $1 AND account = $2 AND fence = $3";
            tx.execute(sql, with(params![attention])).await?
        }
        Ending::Again { at, counts } => {
            // What has come meanwhile, such as a dismissal, does not wait as long as what failed.
            let sql = "UPDATE push_work SET lease_until = 0, report = COALESCE($7, report), \
                       due_at = CASE WHEN desired_epoch = $4 AND desired_revision = $5 AND user_id = $6 THEN $8 \
                       ELSE due_at END, \
                       attempts = CASE WHEN desired_epoch = $4 AND desired_revision = $5 AND user_id = $6 \
                       THEN attempts + $9 ELSE 0 END \
                       WHERE tenant = $1 AND account = $2 AND fence = $3";
            tx.execute(sql, with(params![at.0, *counts])).await?
        }
        Ending::Failed { detail, again } => {
            let sql = "UPDATE push_work SET lease_until = 0, attention = 'FAILED', detail = $8, \
                       report = COALESCE($7, report), \
                       attempts = CASE WHEN desired_epoch = $4 AND desired_revision = $5 AND user_id = $6 \
                       THEN attempts + 1 ELSE 0 END, \
                       due_at = CASE WHEN desired_epoch = $4 AND desired_revision = $5 AND user_id = $6 THEN $9 \
                       ELSE due_at END \
                       WHERE tenant = $1 AND account = $2 AND fence = $3";
            tx.execute(sql, with(params![detail, again.map(|at| at.0)])).await?
        }
    };
    if changed == 0 {
        make_due(tx, tenant, &job.account, now).await?;
        return Ok(false);
    }
    if let Ending::Released { user_name } = ending {
        release(tx, tenant, job, user_name, now).await?;
    }
    Ok(true)
}

/// The old account is nobody's now; the user goes on under its new name.
async fn release(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    job: &Job,
    user_name: String,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "UPDATE push_ledger SET user_id = NULL, decision = NULL, decided_for = NULL \
               WHERE tenant = $1 AND account = $2 AND user_id = $3";
    tx.execute(sql, params![tenant.as_str(), job.account.as_str(), job.user.as_bytes()]).await?;
    let Job { user, desired: position, .. } = *job;
    enqueue::store(tx, tenant, Change { user, user_name, gone: false, takes_away: false, at: now, position }, now).await
}
