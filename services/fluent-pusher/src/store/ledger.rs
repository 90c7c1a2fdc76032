//! The ledger: which accounts are ours, which are being made, which were there before and wait for an operator.

use domain::clock::Timestamp;
use domain::fold::fold;
use domain::id::{TenantId, UserId};
use sql::{Row, Tx, Value, params};

use super::{Error, Job, Store, make_due, user_id};

/// What the ledger knows of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The user it belongs to; `None` once it was given up for another, after a rename.
    pub user: Option<UserId>,
    /// The name, exactly as the account bears it.
    pub user_name: String,
    /// How we stand to it.
    pub standing: Standing,
    /// Since when: when its making was last asked for, if it is being made.
    pub since: Timestamp,
    /// What an operator decided, and for which folded user name.
    pub decision: Option<(Decision, String)>,
    /// In which Fluent; empty where that is not known.
    pub fluent: String,
    /// Whose profile the account bears, as far as is known.
    pub profile_of: Option<UserId>,
}

/// How we stand to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// None stood there, and we said that one be made; whether it was is to be looked up.
    Creating,
    /// We made or adopted it.
    Ours {
        /// Fluent's id.
        fluent_id: String,
    },
    /// It stood there before, and may not be adopted without an operator.
    Parked,
}

/// What an operator may decide about an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Adopt the account that stood there before.
    Adopt,
    /// After a rename: empty the old account and make a new one.
    Replace,
    /// After a rename: keep the account under its old name.
    Keep,
}

impl Standing {
    fn columns(self) -> (&'static str, Option<String>) {
        match self {
            Self::Creating => ("creating", None),
            Self::Ours { fluent_id } => ("ours", Some(fluent_id)),
            Self::Parked => ("parked", None),
        }
    }
}

impl Decision {
    fn as_str(self) -> &'static str {
        match self {
            Self::Adopt => "adopt",
            Self::Replace => "replace",
            Self::Keep => "keep",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Adopt, Self::Replace, Self::Keep].into_iter().find(|decision| decision.as_str() == name)
    }
}

impl Entry {
    /// Whether an operator decided so for a user of this name.
    #[must_use]
    pub fn decided(&self, decision: Decision, user_name: &str) -> bool {
        self.decision.as_ref().is_some_and(|(made, name)| *made == decision && *name == fold(user_name))
    }
}

impl Store {
    /// What the ledger knows of the account.
    pub async fn ledger(&self, tenant: &TenantId, account: &str) -> Result<Option<Entry>, Error> {
        let sql = "SELECT user_name, standing, fluent_id, decision, decided_for, user_id, since, fluent, profile_of \
                   FROM push_ledger WHERE tenant = $1 AND account = $2";
        let row = self.database.point(sql, params![tenant.as_str(), account]).await?;
        row.as_ref().map(entry).transpose()
    }

    /// Writes down, before anything is sent, how we stand to an account of a Fluent: that it is being made, adopted or
    /// parked. `lost` is what adoption takes away, as JSON. Nothing is written unless the lease still holds and the account
    /// is still the job's user's; answers whether it was.
    pub async fn record(
        &self,
        tenant: &TenantId,
        fluent: &str,
        job: &Job,
        user_name: &str,
        standing: Standing,
        lost: Option<String>,
    ) -> Result<bool, Error> {
        let sql = "INSERT INTO push_ledger \
                   (tenant, account, user_id, user_name, standing, fluent_id, lost, since, fluent, profile_of) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $3) \
                   ON CONFLICT (tenant, account) DO UPDATE SET user_id = excluded.user_id, \
                   user_name = excluded.user_name, standing = excluded.standing, \
                   fluent_id = excluded.fluent_id, since = excluded.since, \
                   lost = COALESCE(excluded.lost, push_ledger.lost), fluent = excluded.fluent, \
                   profile_of = excluded.profile_of";
        let (standing, fluent_id) = standing.columns();
        let (user, now) = (job.user.as_bytes(), self.now().0);
        let values = params![tenant.as_str(), &job.account, user, user_name, standing, fluent_id, lost, now, fluent];
        self.under_lease(tenant, job, sql, values).await
    }

    /// Writes down that an account we said should be made was made. That is true whoever holds the lease by now; and the
    /// account belongs to the user who bears its name by now. Answers whether both are still the job's.
    pub async fn made(
        &self,
        tenant: &TenantId,
        fluent: &str,
        job: &Job,
        user_name: &str,
        fluent_id: &str,
    ) -> Result<bool, Error> {
        let (tenant, job, now) = (tenant.clone(), job.clone(), self.now());
        let (fluent, user_name, fluent_id) = (fluent.to_owned(), user_name.to_owned(), fluent_id.to_owned());
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    let bearer = bearer(tx, &tenant, &job).await?;
                    let user = if let Bearer::Other(user) = bearer { user } else { job.user };
                    let sql = "INSERT INTO push_ledger \
                               (tenant, account, user_id, user_name, standing, fluent_id, since, fluent, profile_of) \
                               VALUES ($1, $2, $3, $4, 'ours', $5, $6, $7, $8) ON CONFLICT (tenant, account) DO UPDATE \
                               SET user_name = excluded.user_name, standing = 'ours', fluent_id = excluded.fluent_id, \
                               since = excluded.since, fluent = excluded.fluent, profile_of = excluded.profile_of";
                    let (user, made_for) = (user.as_bytes(), job.user.as_bytes());
                    let account = &job.account;
                    let values = params![tenant.as_str(), account, user, user_name, fluent_id, now.0, fluent, made_for];
                    tx.execute(sql, values).await?;
                    if bearer != Bearer::Job {
                        make_due(tx, &tenant, &job.account, now).await?;
                    }
                    Ok(bearer == Bearer::Job)
                })
            })
            .await
    }

    /// The account that the ledger knows stands in this Fluent too. Answers whether the lease still holds.
    pub async fn found_again(&self, tenant: &TenantId, job: &Job, fluent: &str) -> Result<bool, Error> {
        let sql = "UPDATE push_ledger SET fluent = $3 WHERE tenant = $1 AND account = $2";
        self.under_lease(tenant, job, sql, params![tenant.as_str(), &job.account, fluent]).await
    }

    /// The account bears its user's own profile by now. Answers whether the lease still holds.
    pub async fn introduced(&self, tenant: &TenantId, job: &Job) -> Result<bool, Error> {
        let sql = "UPDATE push_ledger SET profile_of = $3 WHERE tenant = $1 AND account = $2";
        self.under_lease(tenant, job, sql, params![tenant.as_str(), &job.account, job.user.as_bytes()]).await
    }

    /// No account stands there after all. Nothing is forgotten unless the lease still holds and the account is still the
    /// job's user's; answers whether it was.
    pub async fn forget(&self, tenant: &TenantId, job: &Job) -> Result<bool, Error> {
        let sql = "DELETE FROM push_ledger WHERE tenant = $1 AND account = $2";
        self.under_lease(tenant, job, sql, params![tenant.as_str(), &job.account]).await
    }

    /// Writes one thing, if the lease still holds and the account is still the job's user's; answers whether it was.
    async fn under_lease(
        &self,
        tenant: &TenantId,
        job: &Job,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<bool, Error> {
        let (tenant, job) = (tenant.clone(), job.clone());
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    if bearer(tx, &tenant, &job).await? != Bearer::Job {
                        return Ok(false);
                    }
                    tx.execute(sql, values).await?;
                    Ok(true)
                })
            })
            .await
    }

    /// Keeps an operator's decision about the account of a user and makes it due. Answers whether there was anything to
    /// decide: a parked account for [`Decision::Adopt`], one under another name for the others.
    pub async fn decide(&self, tenant: &TenantId, user: UserId, decision: Decision) -> Result<bool, Error> {
        let (tenant, now) = (tenant.clone(), self.now());
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    if decision == Decision::Replace && replaced(tx, &tenant, user, now).await? {
                        return Ok(true);
                    }
                    let Some((account, user_name)) = waiting(tx, &tenant, user, decision).await? else {
                        return Ok(false);
                    };
                    let sql =
                        "UPDATE push_ledger SET decision = $3, decided_for = $4 WHERE tenant = $1 AND account = $2";
                    tx.execute(sql, params![tenant.as_str(), &account, decision.as_str(), fold(&user_name)]).await?;
                    make_due(tx, &tenant, &account, now).await
                })
            })
            .await
    }

    /// A user who lost its account to the next bearer of its name gets another, since the tenant has all renamed
    /// accounts replaced.
    pub async fn replace(&self, tenant: &TenantId, user: UserId) -> Result<(), Error> {
        let (tenant, now) = (tenant.clone(), self.now());
        self.database.write(move |tx| Box::pin(async move { replaced(tx, &tenant, user, now).await.map(drop) })).await
    }

    /// Makes a user's account due again. Answers whether it has an entry.
    pub async fn retry(&self, tenant: &TenantId, user: UserId) -> Result<bool, Error> {
        let (tenant, now) = (tenant.clone(), self.now());
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE push_work SET due_at = $3, attempts = 0 WHERE tenant = $1 AND user_id = $2";
                    Ok(tx.execute(sql, params![tenant.as_str(), user.as_bytes(), now.0]).await? > 0)
                })
            })
            .await
    }
}

/// Whose an account is by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bearer {
    /// The job's user's, under the job's lease.
    Job,
    /// The job's user's, under another lease; or nobody's.
    Lost,
    /// Another user's.
    Other(UserId),
}

/// Locks the entry, so that it stays as it is until what is written with it is committed.
async fn bearer(tx: &mut Tx<'_>, tenant: &TenantId, job: &Job) -> Result<Bearer, Error> {
    let sql = "SELECT user_id, fence FROM push_work WHERE tenant = $1 AND account = $2 {for update}";
    let Some(row) = tx.row(sql, params![tenant.as_str(), &job.account]).await? else { return Ok(Bearer::Lost) };
    Ok(match user_id(&row, 0)? {
        Some(user) if user != job.user => Bearer::Other(user),
        Some(_) if row.int(1)? == job.lease.fence => Bearer::Job,
        _ => Bearer::Lost,
    })
}

/// A user who lost its account to the next bearer of its name waits no more. Answers whether it did.
async fn replaced(tx: &mut Tx<'_>, tenant: &TenantId, user: UserId, now: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE push_work SET renamed = 0, due_at = $3, attempts = 0 \
               WHERE tenant = $1 AND user_id = $2 AND renamed = 1";
    Ok(tx.execute(sql, params![tenant.as_str(), user.as_bytes(), now.0]).await? > 0)
}

/// The account the decision is about, and the name its user bears now.
async fn waiting(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    user: UserId,
    decision: Decision,
) -> Result<Option<(String, String)>, Error> {
    let sql = "SELECT l.account, w.user_name, l.standing FROM push_ledger l \
               JOIN push_work w ON w.tenant = l.tenant AND w.account = l.account \
               WHERE l.tenant = $1 AND l.user_id = $2";
    for row in tx.rows(sql, params![tenant.as_str(), user.as_bytes()]).await? {
        let (account, user_name) = (row.text(0)?, row.text(1)?);
        let right = match decision {
            Decision::Adopt => row.text(2)? == "parked",
            Decision::Replace | Decision::Keep => row.text(2)? != "parked" && fold(user_name) != account,
        };
        if right {
            return Ok(Some((account.to_owned(), user_name.to_owned())));
        }
    }
    Ok(None)
}

fn entry(row: &Row) -> Result<Entry, Error> {
    let standing = match (row.text(1)?, row.maybe_text(2)?) {
        ("ours", Some(fluent_id)) => Standing::Ours { fluent_id: fluent_id.to_owned() },
        ("creating", _) => Standing::Creating,
        // What can't be read grants nothing.
        _ => Standing::Parked,
    };
    let decision = row.maybe_text(3)?.and_then(Decision::named);
    let decided_for = row.maybe_text(4)?.map(str::to_owned);
    Ok(Entry {
        user: user_id(row, 5)?,
        user_name: row.text(0)?.to_owned(),
        standing,
        since: Timestamp(row.int(6)?),
        decision: decision.zip(decided_for),
        fluent: row.text(7)?.to_owned(),
        profile_of: user_id(row, 8)?,
    })
}
