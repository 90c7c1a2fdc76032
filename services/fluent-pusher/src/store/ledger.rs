//! The ledger: which accounts are ours, which are being made, which were there before and wait for an operator.

use domain::fold::fold;
use domain::id::{TenantId, UserId};
use sql::{Row, Tx, params};

use super::{Error, Store, make_due, user_id};

/// What the ledger knows of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The user it belongs to; `None` once it was given up for another, after a rename.
    pub user: Option<UserId>,
    /// The name, exactly as the account bears it.
    pub user_name: String,
    /// How we stand to it.
    pub standing: Standing,
    /// What an operator decided, and for which folded user name.
    pub decision: Option<(Decision, String)>,
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
        let (tenant, account) = (tenant.clone(), account.to_owned());
        let row = self
            .database
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT user_name, standing, fluent_id, decision, decided_for, user_id FROM push_ledger \
                               WHERE tenant = $1 AND account = $2";
                    tx.row(sql, params![tenant.as_str(), account]).await
                })
            })
            .await?;
        row.as_ref().map(entry).transpose()
    }

    /// Writes down how we stand to an account. `lost` is what adoption took away, as JSON.
    pub async fn record(
        &self,
        tenant: &TenantId,
        account: &str,
        user: UserId,
        user_name: &str,
        standing: Standing,
        lost: Option<String>,
    ) -> Result<(), Error> {
        let (tenant, account, user_name) = (tenant.clone(), account.to_owned(), user_name.to_owned());
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    let (standing, fluent_id) = match standing {
                        Standing::Creating => ("creating", None),
                        Standing::Ours { fluent_id } => ("ours", Some(fluent_id)),
                        Standing::Parked => ("parked", None),
                    };
                    let sql = "INSERT INTO push_ledger (tenant, account, user_id, user_name, standing, fluent_id, lost) \
                               VALUES ($1, $2, $3, $4, $5, $6, $7) \
                               ON CONFLICT (tenant, account) DO UPDATE SET user_id = excluded.user_id, \
                               user_name = excluded.user_name, standing = excluded.standing, \
                               fluent_id = excluded.fluent_id, lost = COALESCE(excluded.lost, push_ledger.lost)";
                    let user = user.as_bytes();
                    let values = params![tenant.as_str(), account, user, user_name, standing, fluent_id, lost];
                    tx.execute(sql, values).await?;
                    Ok(())
                })
            })
            .await
    }

    /// No account stands there after all.
    pub async fn forget(&self, tenant: &TenantId, account: &str) -> Result<(), Error> {
        let (tenant, account) = (tenant.clone(), account.to_owned());
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "DELETE FROM push_ledger WHERE tenant = $1 AND account = $2";
                    tx.execute(sql, params![tenant.as_str(), account]).await?;
                    Ok(())
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
        decision: decision.zip(decided_for),
    })
}
