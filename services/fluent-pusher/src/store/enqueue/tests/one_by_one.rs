//! What the set-based way is compared with: one change after another, each statement by itself.

use domain::clock::Timestamp;
use domain::fold::fold;
use domain::id::{TenantId, UserId};
use sql::{Row, Statement, Tx, params};

use crate::store::{Change, Error, Presence, position, user_id};

/// Stores a change; and, where it takes an account over from a user who bears another name by now, that that user is
/// looked at under its own name, which may push out another in turn. Each of them is then where its name is and is not
/// pushed out again, so this ends.
pub(super) async fn store(tx: &mut Tx<'_>, tenant: &TenantId, change: Change, now: Timestamp) -> Result<(), Error> {
    let newer =
        "SELECT 1 FROM push_work WHERE tenant = $1 AND user_id = $2 AND desired_epoch = $3 AND desired_revision > $4";
    let at = change.position;
    let values = params![tenant.as_str(), change.user.as_bytes(), at.epoch.as_bytes(), at.revision.to_db()];
    if tx.row(newer, values).await?.is_some() {
        return Ok(());
    }
    let mut next = Some((change, false));
    while let Some((change, renamed)) = next {
        next = store_one(tx, tenant, &change, renamed, now).await?;
    }
    Ok(())
}

/// Answers with the user who has to make room, if there is one, and whether it loses an account by that. `renamed`: so
/// did this one.
async fn store_one(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    change: &Change,
    renamed: bool,
    now: Timestamp,
) -> Result<Option<(Change, bool)>, Error> {
    let name = fold(&change.user_name);
    // One who waits for an operator goes on waiting under the next name.
    let sql = "SELECT COALESCE(MAX(renamed), 0) FROM push_work WHERE tenant = $1 AND user_id = $2";
    let waits = tx.row(sql, params![tenant.as_str(), change.user.as_bytes()]).await?;
    let renamed = renamed || waits.map_or(Ok(false), |row| row.flag(0))?;
    let mut accounts = accounts_of(tx, tenant, change.user, &name).await?;
    if accounts.is_empty() {
        accounts.push(name.clone());
    } else if !change.presence.is_gone() {
        accounts.truncate(1);
    }
    let mut moved = None;
    for account in &accounts {
        let makes_room = store_at(tx, tenant, account, &name, (change, renamed), now).await?;
        moved = moved.or(makes_room);
    }
    Ok(moved)
}

/// The accounts a user has, the one under its name first. A user who was renamed keeps the account it has until the
/// tenant's policy, or an operator, says otherwise; one who is gone is to have none, so all are looked at.
async fn accounts_of(tx: &mut Tx<'_>, tenant: &TenantId, user: UserId, name: &str) -> Result<Vec<String>, Error> {
    // A worker that is about to write down an account of this user holds its entry: it is waited for.
    let lock = "SELECT account FROM push_work WHERE tenant = $1 AND user_id = $2 ORDER BY account {for update}";
    tx.rows(lock, params![tenant.as_str(), user.as_bytes()]).await?;
    let sql = "SELECT account FROM push_ledger WHERE tenant = $1 AND user_id = $2 AND standing <> 'parked' \
               ORDER BY CASE WHEN account = $3 THEN 0 ELSE 1 END, account";
    let rows = tx.rows(sql, params![tenant.as_str(), user.as_bytes(), name]).await?;
    rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}

/// Stores a change at one account of its user.
async fn store_at(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    account: &str,
    name: &str,
    (change, renamed): (&Change, bool),
    now: Timestamp,
) -> Result<Option<(Change, bool)>, Error> {
    let sql = "SELECT user_id, user_name, gone, desired_epoch, desired_revision FROM push_work \
               WHERE tenant = $1 AND account = $2 {for update}";
    let row = tx.row(sql, params![tenant.as_str(), account]).await?;
    let bearer = row.as_ref().map(|row| entry(row, now)).transpose()?.flatten();
    let other = bearer.filter(|bearer| bearer.user != change.user);
    let must_move = other.as_ref().is_some_and(|other| fold(&other.user_name) != account);
    if let Some(other) = &other {
        let (theirs, ours) = (other.position, change.position);
        let is_older = theirs.epoch == ours.epoch && theirs.revision > ours.revision;
        let is_gone = change.presence.is_gone();
        let owns = "SELECT 1 FROM push_ledger WHERE tenant = $1 AND account = $2 AND user_id = $3";
        let owns = tx.row(owns, params![tenant.as_str(), account, change.user.as_bytes()]).await?.is_some();
        let is_theirs = !must_move && !other.presence.is_gone() && (is_gone || is_older);
        let is_nobodys = change.presence == Presence::Deleted && !owns;
        if is_theirs || is_nobodys || (is_older && is_gone) {
            return Ok(None);
        }
    }
    let moved = match other.filter(|_| must_move) {
        Some(other) => {
            let loses = loses_account(tx, tenant, account, &other).await?;
            Some((other, loses))
        }
        None => None,
    };
    if account == name {
        claim(tx, tenant, account, change, now).await?;
    }
    upsert(tx, tenant, account, change, renamed, now).await?;
    Ok(moved)
}

/// Whether the account is its user's and no operator has said that it be replaced.
async fn loses_account(tx: &mut Tx<'_>, tenant: &TenantId, account: &str, other: &Change) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM push_ledger WHERE tenant = $1 AND account = $2 AND user_id = $3 AND standing <> 'parked' \
               AND NOT (COALESCE(decision, '') = 'replace' AND COALESCE(decided_for, '') = $4)";
    let values = params![tenant.as_str(), account, other.user.as_bytes(), fold(&other.user_name)];
    Ok(tx.row(sql, values).await?.is_some())
}

/// What the entry says of its user, as a change.
fn entry(row: &Row, now: Timestamp) -> Result<Option<Change>, Error> {
    let (user, position) = (user_id(row, 0)?, position(row, 3, 4)?);
    let (user_name, gone) = (row.text(1)?.to_owned(), row.flag(2)?);
    // One who is gone is moved to where it pushes nobody out.
    let presence = if gone { Presence::Deleted } else { Presence::Active };
    let change = |(user, position)| Change { user, user_name, presence, takes_away: false, at: now, position };
    Ok(user.zip(position).map(change))
}

/// The account belongs to the user who bears its name, and entries under names the user bore before it had an account
/// are void: what stands under those names is not the user's. Where a worker is at one, it loses its lease, so that it
/// can't make an account there any more.
async fn claim(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    account: &str,
    change: &Change,
    now: Timestamp,
) -> Result<(), Error> {
    const CLAIM: &str = "UPDATE push_ledger SET user_id = $3, decision = NULL, decided_for = NULL \
                         WHERE tenant = $1 AND account = $2 AND (user_id IS NULL OR user_id <> $3)";
    const REVOKE: &str = "UPDATE push_work SET fence = fence + 1, lease_until = 0, user_name = $5, due_at = $4 \
                          WHERE tenant = $1 AND user_id = $3 AND account <> $2 AND lease_until > $4 AND NOT EXISTS \
                          (SELECT 1 FROM push_ledger l WHERE l.tenant = push_work.tenant AND l.account = push_work.account)";
    const VOID: &str = "DELETE FROM push_work WHERE tenant = $1 AND user_id = $3 AND account <> $2 AND lease_until <= $4 \
                        AND NOT EXISTS \
                        (SELECT 1 FROM push_ledger l WHERE l.tenant = push_work.tenant AND l.account = push_work.account)";
    let values = || params![tenant.as_str(), account, change.user.as_bytes()];
    let with = |more: Vec<sql::Value>| values().into_iter().chain(more).collect::<Vec<_>>();
    tx.batch(vec![
        Statement::new(CLAIM, values()),
        Statement::new(VOID, with(params![now.0])),
        Statement::new(REVOKE, with(params![now.0, change.user_name.as_str()])),
    ])
    .await?;
    Ok(())
}

async fn upsert(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    account: &str,
    change: &Change,
    renamed: bool,
    now: Timestamp,
) -> Result<(), Error> {
    let Change { user, user_name, presence, takes_away, at, position } = change;
    let gone = presence.is_gone();
    let revokes = if gone { 2 } else { i64::from(*takes_away) };
    // An older change, met again after a crash, changes nothing. A new entry's fence begins anywhere, so that the lease
    // of an entry that was deleted is not mistaken for one of its successor.
    let sql = "INSERT INTO push_work (tenant, account, user_id, user_name, desired_epoch, desired_revision, gone, \
               revokes, revokes_since, due_at, attempts, lease_owner, lease_until, fence, renamed) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, '', 0, $11, $12) \
               ON CONFLICT (tenant, account) DO UPDATE SET user_id = excluded.user_id, user_name = excluded.user_name, \
               desired_epoch = excluded.desired_epoch, desired_revision = excluded.desired_revision, \
               gone = excluded.gone, renamed = excluded.renamed, \
               revokes = CASE WHEN excluded.revokes > push_work.revokes THEN excluded.revokes ELSE push_work.revokes END, \
               revokes_since = COALESCE(push_work.revokes_since, excluded.revokes_since), \
               due_at = CASE WHEN push_work.due_at < excluded.due_at THEN push_work.due_at ELSE excluded.due_at END, \
               attempts = 0 \
               WHERE push_work.user_id <> excluded.user_id \
               OR push_work.desired_epoch <> excluded.desired_epoch \
               OR push_work.desired_revision < excluded.desired_revision \
               OR (push_work.desired_revision = excluded.desired_revision AND push_work.due_at IS NOT NULL)";
    let values = params![
        tenant.as_str(),
        account,
        user.as_bytes(),
        user_name,
        position.epoch.as_bytes(),
        position.revision.to_db(),
        gone,
        revokes,
        (revokes > 0).then_some(at.0),
        now.0,
        i64::from(rand::random::<u32>()) << 24,
        renamed,
    ];
    tx.execute(sql, values).await?;
    Ok(())
}
