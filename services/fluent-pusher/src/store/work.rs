//! The work list: leasing entries, and giving them back. A turn does both, for all that has ended meanwhile and all that
//! there is a place for, whatever their number.

use std::time::Duration;

use domain::clock::Timestamp;
use domain::id::{TenantId, UserId};
use domain::revision::Position;
use sql::{ErrorKind, Row, Statement, Tx, params};

use super::enqueue::store_one;
use super::{Change, Error, Presence, Store, make_due, position, user_id};

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

/// An entry that has been worked on, to be given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// What it was leased for.
    pub job: Job,
    /// How that ended.
    pub ending: Ending,
    /// What identity-store shall be told.
    pub report: Option<Vec<u8>>,
}

/// An outcome that identity-store is to be told, or has been: the account, and the report as it is kept.
pub type Report = (String, Vec<u8>);

/// What a turn takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Nothing.
    Nothing,
    /// Up to so many entries: those that take something away first, then the oldest.
    Any(usize),
    /// Up to so many of those that take something away.
    Revocations(usize),
}

/// What came of a turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// For each entry given back, whether its lease still held.
    pub held: Vec<bool>,
    /// What was taken.
    pub jobs: Vec<Job>,
    /// When the next entry is due, if all that are due now were taken and there is one.
    pub next_due: Option<Timestamp>,
}

impl Store {
    /// Gives entries back and leases others for `term`. `told` are outcomes that identity-store has been told: they are
    /// forgotten, unless they have changed since.
    ///
    /// Whoever lost a lease changes nothing by giving back: the entry is made due, since what was sent may have crossed
    /// what its successor sent.
    pub async fn turn(
        &self,
        tenant: &TenantId,
        finished: Vec<Finished>,
        told: Vec<Report>,
        take: Take,
        term: Duration,
    ) -> Result<Turn, Error> {
        let (owner, now) = (self.instance.clone(), self.now());
        let mut held = Vec::new();
        if !finished.is_empty() || !told.is_empty() {
            held = match self.give_back(tenant, finished.clone(), told).await {
                // One of them is more than the database can hold: that is its own fault, and its lease runs out.
                Err(error) if error.kind() == ErrorKind::Defect => self.give_back_each(tenant, finished).await?,
                held => held?,
            };
        }
        let (limit, only_revocations) = match take {
            Take::Nothing => return Ok(Turn { held, ..Turn::default() }),
            Take::Any(limit) => (limit, false),
            Take::Revocations(limit) => (limit, true),
        };
        let tenant = tenant.clone();
        self.database
            .write_while_up(move |tx| {
                Box::pin(async move {
                    let jobs = claim(tx, &tenant, &owner, (limit, only_revocations), now, term).await?;
                    let all = jobs.len() < limit && !only_revocations;
                    let next_due = if all { next_due(tx, &tenant, now).await? } else { None };
                    Ok(Turn { held, jobs, next_due })
                })
            })
            .await
    }

    /// Answers for each entry whether its lease held. Were it lost with the machine, the accounts would be looked at, and
    /// the outcomes told, again.
    async fn give_back(
        &self,
        tenant: &TenantId,
        finished: Vec<Finished>,
        told: Vec<Report>,
    ) -> Result<Vec<bool>, Error> {
        let (tenant, now) = (tenant.clone(), self.now());
        self.database
            .write_soon(move |tx| Box::pin(async move { give_back(tx, &tenant, finished, told, now).await }))
            .await
    }

    /// The same, one by one: of one that can't be written no lease holds.
    async fn give_back_each(&self, tenant: &TenantId, finished: Vec<Finished>) -> Result<Vec<bool>, Error> {
        let mut held = Vec::with_capacity(finished.len());
        for finished in finished {
            match self.give_back(tenant, vec![finished], Vec::new()).await {
                Ok(one) => held.extend(one),
                Err(error) if error.kind() == ErrorKind::Defect => held.push(false),
                Err(error) => return Err(error),
            }
        }
        Ok(held)
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

    /// Up to `limit` outcomes that identity-store has not been told.
    pub async fn unreported(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Report>, Error> {
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
}

/// Each urgency by itself, so that neither what is done nor what waits for later is looked at, however much there is of
/// it. Others' entries that are being leased are passed over.
pub(super) const CLAIM: &str = "WITH next AS MATERIALIZED (SELECT account FROM (\
     SELECT * FROM (SELECT account, revokes, due_at FROM push_work WHERE tenant = $1 AND revokes = 2 AND due_at <= $2 \
     AND lease_until <= $2 ORDER BY due_at LIMIT $3 {skip locked}) AS closing UNION ALL \
     SELECT * FROM (SELECT account, revokes, due_at FROM push_work WHERE tenant = $1 AND revokes = 1 AND due_at <= $2 \
     AND lease_until <= $2 ORDER BY due_at LIMIT $3 {skip locked}) AS taking UNION ALL \
     SELECT * FROM (SELECT account, revokes, due_at FROM push_work WHERE tenant = $1 AND revokes = 0 AND due_at <= $2 \
     AND lease_until <= $2 ORDER BY due_at LIMIT $4 {skip locked}) AS giving\
     ) AS due ORDER BY revokes DESC, due_at LIMIT $3) \
     UPDATE push_work SET lease_until = $5, fence = fence + 1, lease_owner = $6 FROM next \
     WHERE push_work.tenant = $1 AND push_work.account = next.account \
     RETURNING push_work.account, user_id, user_name, desired_epoch, desired_revision, gone, revokes, due_at, attempts, \
     fence, renamed";

async fn claim(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    owner: &str,
    (limit, only_revocations): (usize, bool),
    now: Timestamp,
    term: Duration,
) -> Result<Vec<Job>, Error> {
    let until = now.plus(term);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let giving = if only_revocations { 0 } else { limit };
    let values = params![tenant.as_str(), now.0, limit, giving, until.0, owner];
    let mut jobs = Vec::new();
    for row in tx.rows(CLAIM, values).await? {
        if let Some(job) = job(&row, until)? {
            jobs.push(((-row.int(6)?, row.int(7)?), job));
        }
    }
    // They come in no order.
    jobs.sort_by_key(|(order, _)| *order);
    Ok(jobs.into_iter().map(|(_, job)| job).collect())
}

fn job(row: &Row, until: Timestamp) -> Result<Option<Job>, Error> {
    let (Some(user), Some(desired)) = (user_id(row, 1)?, position(row, 3, 4)?) else { return Ok(None) };
    Ok(Some(Job {
        account: row.text(0)?.to_owned(),
        user,
        user_name: row.text(2)?.to_owned(),
        desired,
        gone: row.flag(5)?,
        revokes: row.flag(6)?,
        renamed: row.flag(10)?,
        attempts: u32::try_from(row.int(8)?).unwrap_or(u32::MAX),
        lease: Lease { fence: row.int(9)?, until },
    }))
}

/// When something is due next, of what is not due now; and when a lease ends of what is.
pub(super) const NEXT_DUE: &str = "SELECT MIN(at) FROM (\
     SELECT MIN(due_at) AS at FROM push_work WHERE tenant = $1 AND revokes = 2 AND due_at > $2 UNION ALL \
     SELECT MIN(due_at) FROM push_work WHERE tenant = $1 AND revokes = 1 AND due_at > $2 UNION ALL \
     SELECT MIN(due_at) FROM push_work WHERE tenant = $1 AND revokes = 0 AND due_at > $2 UNION ALL \
     SELECT MIN(lease_until) FROM push_work WHERE tenant = $1 AND revokes = 2 AND due_at <= $2 AND lease_until > $2 UNION ALL \
     SELECT MIN(lease_until) FROM push_work WHERE tenant = $1 AND revokes = 1 AND due_at <= $2 AND lease_until > $2 UNION ALL \
     SELECT MIN(lease_until) FROM push_work WHERE tenant = $1 AND revokes = 0 AND due_at <= $2 AND lease_until > $2) AS times";

#[cfg(test)]
impl Store {
    /// When something is due next, or is by now.
    pub(crate) async fn next_due(&self, tenant: &TenantId) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT MIN(CASE WHEN lease_until > due_at THEN lease_until ELSE due_at END) \
                   FROM push_work WHERE tenant = $1 AND due_at IS NOT NULL";
        let row = self.database.point(sql, params![tenant.as_str()]).await?;
        Ok(row.map(|row| row.maybe_int(0)).transpose()?.flatten().map(Timestamp))
    }
}

/// After a claim that found less than it wanted: what is due now is then leased, and so is little.
async fn next_due(tx: &mut Tx<'_>, tenant: &TenantId, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let row = tx.row(NEXT_DUE, params![tenant.as_str(), now.0]).await?;
    Ok(row.map(|row| row.maybe_int(0)).transpose()?.flatten().map(Timestamp))
}

/// Answers for each entry whether its lease held.
async fn give_back(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    finished: Vec<Finished>,
    told: Vec<Report>,
    now: Timestamp,
) -> Result<Vec<bool>, Error> {
    const TOLD: &str = "UPDATE push_work SET report = NULL WHERE tenant = $1 AND account = $2 AND report = $3";
    // In order of account, as everyone locks entries.
    let mut statements: Vec<(&str, Option<usize>, Statement)> = Vec::with_capacity(finished.len() + told.len());
    for (account, report) in &told {
        let statement = Statement::new(TOLD, params![tenant.as_str(), account, report.as_slice()]);
        statements.push((account, None, statement));
    }
    for (number, finished) in finished.iter().enumerate() {
        statements.push((&finished.job.account, Some(number), end(tenant, finished)));
    }
    if statements.is_empty() {
        return Ok(Vec::new());
    }
    statements.sort_by_key(|(account, ..)| *account);
    let (of, statements): (Vec<_>, _) = statements.into_iter().map(|(_, of, statement)| (of, statement)).unzip();
    let counts = tx.batch(statements).await?;
    let mut held = vec![false; finished.len()];
    for (of, count) in of.into_iter().zip(counts) {
        if let Some(held) = of.and_then(|number| held.get_mut(number)) {
            *held = count > 0;
        }
    }
    for (Finished { job, ending, report: _ }, held) in finished.into_iter().zip(&held) {
        match ending {
            _ if !held => {
                make_due(tx, tenant, &job.account, now).await?;
            }
            Ending::Released { user_name } => release(tx, tenant, &job, user_name, now).await?,
            Ending::Done { .. } | Ending::Again { .. } | Ending::Failed { .. } => {}
        }
    }
    Ok(held)
}

/// What the work was done for may have been overtaken meanwhile: then the entry stays due.
fn end(tenant: &TenantId, finished: &Finished) -> Statement {
    const DONE: &str = "UPDATE push_work SET lease_until = 0, attempts = 0, \
         attention = $8, detail = NULL, report = COALESCE($7, report), \
         due_at = CASE WHEN desired_epoch = $4 AND desired_revision = $5 AND user_id = $6 THEN NULL ELSE due_at END, \
         revokes = CASE WHEN desired_epoch = $4 AND desired_revision = $5 AND user_id = $6 THEN 0 ELSE revokes END, \
         revokes_since = CASE WHEN desired_epoch = $4 AND desired_revision = $5 AND user_id = $6 \
         THEN NULL ELSE revokes_since END \
         WHERE tenant = $1 AND account = $2 AND fence = $3";
    // What has come meanwhile, such as a dismissal, does not wait as long as what failed.
    const AGAIN: &str = "UPDATE push_work SET lease_until = 0, report = COALESCE($7, report), \
         due_at = CASE WHEN desired_epoch = $4 AND desired_revision = $5 AND user_id = $6 THEN $8 ELSE due_at END, \
         attempts = CASE WHEN desired_epoch = $4 AND desired_revision = $5 AND user_id = $6 \
         THEN attempts + $9 ELSE 0 END \
         WHERE tenant = $1 AND account = $2 AND fence = $3";
    const FAILED: &str = "UPDATE push_work SET lease_until = 0, attention = 'FAILED', detail = $8, \
         report = COALESCE($7, report), \
         attempts = CASE WHEN desired_epoch = $4 AND desired_revision = $5 AND user_id = $6 \
         THEN attempts + 1 ELSE 0 END, \
         due_at = CASE WHEN desired_epoch = $4 AND desired_revision = $5 AND user_id = $6 THEN $9 ELSE due_at END \
         WHERE tenant = $1 AND account = $2 AND fence = $3";
    let Finished { job, ending, report } = finished;
    let Position { epoch, revision } = job.desired;
    let (sql, more) = match ending {
        Ending::Done { attention } => (DONE, params![*attention]),
        Ending::Released { user_name: _ } => (DONE, params![None::<&str>]),
        Ending::Again { at, counts } => (AGAIN, params![at.0, *counts]),
        Ending::Failed { detail, again } => (FAILED, params![detail, again.map(|at| at.0)]),
    };
    let mut values = params![
        tenant.as_str(),
        job.account.as_str(),
        job.lease.fence,
        epoch.as_bytes(),
        revision.to_db(),
        job.user.as_bytes(),
        report.clone(),
    ];
    values.extend(more);
    Statement::new(sql, values)
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
    store_one(
        tx,
        tenant,
        Change { user, user_name, presence: Presence::Active, takes_away: false, at: now, position },
        now,
    )
    .await
}
