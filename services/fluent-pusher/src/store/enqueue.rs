//! From changes to work: which account a change is about, and that it is due. What concerns the changes is read at once,
//! [`Accounts`] says what becomes of it, and that is written at once: a handful of statements, however many changes.

use std::collections::BTreeSet;

use domain::clock::Timestamp;
use domain::fold::fold;
use domain::id::{TenantId, UserId};
use domain::revision::Position;
use sql::{Row, Statement, Tx, Value, params};

use super::accounts::{Accounts, Change, Difference, Entry, Owned};
use super::{Error, Store, position, user_id};

/// The most changes stored in one transaction: others must not wait long for the writer.
const CHUNK: usize = 500;

/// How changes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// In order, each after all before it.
    InOrder,
    /// Ahead of others that come before them.
    Ahead,
}

impl Store {
    /// Stores what the feed caused up to `position`, and moves on to it. Stored twice, it is stored once; and were it lost
    /// with the machine, so would be the place in the feed, from which it is read again. So nobody waits for the disk.
    pub async fn advance(&self, tenant: &TenantId, mut changes: Vec<Change>, position: Position) -> Result<(), Error> {
        let last = changes.split_off(changes.len().saturating_sub(1) / CHUNK * CHUNK);
        self.enqueue(tenant, changes).await?;
        let (tenant, now) = (tenant.clone(), self.now());
        self.database
            .write_soon(move |tx| {
                Box::pin(async move {
                    store(tx, &tenant, &last, Way::InOrder, now).await?;
                    move_to(tx, &tenant, position).await
                })
            })
            .await
    }

    /// Stores changes without moving on.
    pub async fn enqueue(&self, tenant: &TenantId, changes: Vec<Change>) -> Result<(), Error> {
        self.store_all(tenant, changes, Way::InOrder).await
    }

    /// Stores changes that take something away ahead of those before them. They change nothing that those, when they
    /// come, don't find in order: an entry is looked at earlier, and nothing else.
    pub async fn overtake(&self, tenant: &TenantId, changes: Vec<Change>) -> Result<(), Error> {
        self.store_all(tenant, changes, Way::Ahead).await
    }

    async fn store_all(&self, tenant: &TenantId, changes: Vec<Change>, way: Way) -> Result<(), Error> {
        for chunk in changes.chunks(CHUNK) {
            let (tenant, chunk, now) = (tenant.clone(), chunk.to_vec(), self.now());
            // The place of who reads ahead is kept nowhere: what it has passed must last.
            let database = &self.database;
            if way == Way::Ahead {
                database.write(move |tx| Box::pin(async move { store(tx, &tenant, &chunk, way, now).await })).await?;
            } else {
                database
                    .write_soon(move |tx| Box::pin(async move { store(tx, &tenant, &chunk, way, now).await }))
                    .await?;
            }
        }
        Ok(())
    }

    /// The feed was lost, or is another's: every account known is to be looked at again as of `position`, but for those
    /// looked at as of a later one. Those whose users are not named by a following [`Self::enqueue`] are taken for gone;
    /// [`Self::end_resync`] moves on.
    pub async fn begin_resync(&self, tenant: &TenantId, position: Position) -> Result<(), Error> {
        let (tenant, now) = (tenant.clone(), self.now());
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    tx.execute("DELETE FROM push_positions WHERE tenant = $1", params![tenant.as_str()]).await?;
                    let sql = "UPDATE push_work SET desired_epoch = $2, desired_revision = $3, gone = 1, due_at = $4, \
                               attempts = 0 WHERE tenant = $1 AND (desired_epoch <> $2 OR desired_revision <= $3)";
                    let Position { epoch, revision } = position;
                    tx.execute(sql, params![tenant.as_str(), epoch.as_bytes(), revision.to_db(), now.0]).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Everything has been looked through: those still taken for gone go first, and the feed goes on from `position`.
    pub async fn end_resync(&self, tenant: &TenantId, position: Position) -> Result<(), Error> {
        let (tenant, now) = (tenant.clone(), self.now());
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE push_work SET revokes = 2, revokes_since = COALESCE(revokes_since, $2) \
                               WHERE tenant = $1 AND gone = 1 AND due_at IS NOT NULL";
                    tx.execute(sql, params![tenant.as_str(), now.0]).await?;
                    move_to(tx, &tenant, position).await
                })
            })
            .await
    }
}

async fn move_to(tx: &mut Tx<'_>, tenant: &TenantId, position: Position) -> Result<(), Error> {
    let sql = "INSERT INTO push_positions (tenant, epoch, revision) VALUES ($1, $2, $3) \
               ON CONFLICT (tenant) DO UPDATE SET epoch = excluded.epoch, revision = excluded.revision \
               WHERE push_positions.epoch <> excluded.epoch OR push_positions.revision < excluded.revision";
    let Position { epoch, revision } = position;
    tx.execute(sql, params![tenant.as_str(), epoch.as_bytes(), revision.to_db()]).await?;
    Ok(())
}

/// Stores one change in order, as part of a larger transaction.
pub(super) async fn store_one(tx: &mut Tx<'_>, tenant: &TenantId, change: Change, now: Timestamp) -> Result<(), Error> {
    store(tx, tenant, &[change], Way::InOrder, now).await
}

async fn store(tx: &mut Tx<'_>, tenant: &TenantId, changes: &[Change], way: Way, now: Timestamp) -> Result<(), Error> {
    // Another replica may make an entry between the reading and the writing: then both are done again over what it made.
    while !changes.is_empty() {
        let mut accounts = read(tx, tenant, changes, now).await?;
        for change in changes {
            match way {
                Way::InOrder => accounts.take(change.clone()),
                Way::Ahead => accounts.overtake(change),
            }
        }
        if write(tx, tenant, accounts.difference()).await? {
            break;
        }
    }
    Ok(())
}

/// The entries under some names, and those of some users. They stay locked: a worker that is about to write down an account
/// of one of the users holds its entry, and is waited for. They are locked as they are found, in order of account.
pub(super) const WORK: &str = "SELECT w.account, w.user_id, w.user_name, w.desired_epoch, w.desired_revision, w.renamed, \
     w.gone, w.revokes, w.revokes_since, w.due_at, w.attempts, w.lease_until, w.fence FROM (SELECT value FROM {texts:$2} AS named \
     UNION SELECT w.account FROM {ids:$3} AS users CROSS JOIN {each:push_work w WHERE w.tenant = $1 AND w.user_id = users.value} \
     UNION SELECT l.account FROM {ids:$3} AS users CROSS JOIN {each:push_ledger l WHERE l.tenant = $1 AND l.user_id = users.value} \
     ORDER BY value) AS names \
     CROSS JOIN {each:push_work w WHERE w.tenant = $1 AND w.account = names.value} {for update:w}";
/// What the ledger says under some names, and of some users.
pub(super) const LEDGER: &str = "SELECT o.account, o.user_id, o.standing, o.decision, o.decided_for FROM (\
     SELECT value FROM {texts:$2} AS named \
     UNION SELECT l.account FROM {ids:$3} AS users CROSS JOIN {each:push_ledger l WHERE l.tenant = $1 AND l.user_id = users.value}\
     ) AS names CROSS JOIN {each:push_ledger o WHERE o.tenant = $1 AND o.account = names.value}";

/// All there is of the accounts that changes concern, and of those to which they may push others, and so on.
async fn read(tx: &mut Tx<'_>, tenant: &TenantId, changes: &[Change], now: Timestamp) -> Result<Accounts, Error> {
    let mut accounts = Accounts::new(now);
    let mut users: BTreeSet<_> = changes.iter().map(|change| change.user).collect();
    let mut names: BTreeSet<_> = changes.iter().map(|change| fold(&change.user_name)).collect();
    let (mut asked_users, mut asked_names) = (BTreeSet::new(), BTreeSet::new());
    while !users.is_empty() {
        let ids = Value::ids(users.iter().map(|user| &user.as_bytes()[..]));
        let texts = Value::texts(names.iter().map(String::as_str));
        for row in tx.rows(WORK, params![tenant.as_str(), texts, ids.clone()]).await? {
            let account = row.text(0)?.to_owned();
            if let Some(entry) = entry(&row)? {
                names.insert(account.clone());
                accounts.put(account, entry);
            }
        }
        let texts = Value::texts(names.iter().map(String::as_str));
        for row in tx.rows(LEDGER, params![tenant.as_str(), texts, ids]).await? {
            accounts.put_owned(row.text(0)?.to_owned(), owned(&row)?);
        }
        asked_users.extend(std::mem::take(&mut users));
        asked_names.extend(std::mem::take(&mut names));
        let next = accounts.may_move();
        let next = next.filter(|(user, name)| !asked_users.contains(user) || !asked_names.contains(name));
        (users, names) = next.unzip();
    }
    Ok(accounts)
}

fn entry(row: &Row) -> Result<Option<Entry>, Error> {
    let (Some(user), Some(desired)) = (user_id(row, 1)?, position(row, 3, 4)?) else { return Ok(None) };
    Ok(Some(Entry {
        user,
        user_name: row.text(2)?.to_owned(),
        desired,
        renamed: row.flag(5)?,
        gone: row.flag(6)?,
        revokes: row.int(7)?,
        revokes_since: row.maybe_int(8)?.map(Timestamp),
        due_at: row.maybe_int(9)?.map(Timestamp),
        attempts: row.int(10)?,
        lease_until: Timestamp(row.int(11)?),
        fence: row.int(12)?,
    }))
}

fn owned(row: &Row) -> Result<Owned, Error> {
    let replaced = row.maybe_text(3)? == Some("replace");
    Ok(Owned {
        user: user_id(row, 1)?,
        parked: row.text(2)? == "parked",
        replaced_for: row.maybe_text(4)?.filter(|_| replaced).map(str::to_owned),
    })
}

/// The beginning of both ways to write entries.
macro_rules! entries {
    ($conflict:literal) => {
        concat!(
            "INSERT INTO push_work (tenant, account, user_id, user_name, desired_epoch, desired_revision, renamed, gone, ",
            "revokes, revokes_since, due_at, attempts, lease_until, fence, lease_owner) ",
            "SELECT $1, {text:r.record 0}, {bytes:r.record 1}, {text:r.record 2}, {bytes:r.record 3}, {int:r.record 4}, ",
            "{int:r.record 5}, {int:r.record 6}, {int:r.record 7}, {int:r.record 8}, {int:r.record 9}, ",
            "{int:r.record 10}, {int:r.record 11}, {int:r.record 12}, '' FROM {records:$2} AS r WHERE true ",
            "ON CONFLICT ",
            $conflict
        )
    };
}
const MAKE: &str = entries!("DO NOTHING");
/// Of entries that are there, and locked: they are found by their key, whatever the planner thinks of the records.
const CHANGE: &str = entries!(
    "(tenant, account) DO UPDATE SET user_id = excluded.user_id, user_name = excluded.user_name, \
     desired_epoch = excluded.desired_epoch, desired_revision = excluded.desired_revision, renamed = excluded.renamed, \
     gone = excluded.gone, revokes = excluded.revokes, revokes_since = excluded.revokes_since, \
     due_at = excluded.due_at, attempts = excluded.attempts, lease_until = excluded.lease_until, fence = excluded.fence"
);
pub(super) const DELETE: &str = "DELETE FROM push_work WHERE {by texts:$1 account=$2}";
const CLAIM: &str = "UPDATE push_ledger SET user_id = $3, decision = NULL, decided_for = NULL \
     WHERE tenant = $1 AND account = $2";

/// Answers whether all was written. If not, another has made one of the entries meanwhile, and no other was touched.
async fn write(tx: &mut Tx<'_>, tenant: &TenantId, difference: Difference) -> Result<bool, Error> {
    let Difference { deleted, made, changed, claimed } = difference;
    if !made.is_empty() {
        let count = made.len();
        let made = Value::records(made.into_iter().map(record));
        let stored = tx.execute(MAKE, params![tenant.as_str(), made]).await?;
        if usize::try_from(stored) != Ok(count) {
            return Ok(false);
        }
    }
    let mut statements = Vec::new();
    let mut add = |sql, is_empty: bool, values| {
        if !is_empty {
            statements.push(Statement::new(sql, params![tenant.as_str(), values]));
        }
    };
    add(DELETE, deleted.is_empty(), Value::texts(deleted.iter().map(String::as_str)));
    add(CHANGE, changed.is_empty(), Value::records(changed.into_iter().map(record)));
    let claim = |(account, user): (String, UserId)| params![tenant.as_str(), account, user.as_bytes()];
    statements.extend(claimed.into_iter().map(|claimed| Statement::new(CLAIM, claim(claimed))));
    if !statements.is_empty() {
        tx.batch(statements).await?;
    }
    Ok(true)
}

fn record((account, entry): (String, Entry)) -> Vec<Value> {
    let Entry { user, user_name, desired, renamed, gone, revokes, revokes_since, due_at, attempts, lease_until, fence } =
        entry;
    let Position { epoch, revision } = desired;
    params![
        account,
        user.as_bytes(),
        user_name,
        epoch.as_bytes(),
        revision.to_db(),
        renamed,
        gone,
        revokes,
        revokes_since.map(|at| at.0),
        due_at.map(|at| at.0),
        attempts,
        lease_until.0,
        fence,
    ]
}

#[cfg(test)]
mod tests;
