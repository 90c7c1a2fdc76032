//! From changes to work: which account a change is about, and that it is due.

use domain::clock::Timestamp;
use domain::fold::fold;
use domain::id::{TenantId, UserId};
use domain::revision::Position;
use sql::{Tx, params};

use super::{Error, Store, user_id};

/// The most changes stored in one transaction: others must not wait long for the writer.
const CHUNK: usize = 500;

/// A user whose account is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The user.
    pub user: UserId,
    /// The name it bears, or last bore.
    pub user_name: String,
    /// Whether it is deleted or inactive.
    pub gone: bool,
    /// Whether the change can take something away.
    pub takes_away: bool,
    /// When it was committed.
    pub at: Timestamp,
    /// As of which position the account is to be looked at.
    pub position: Position,
}

impl Store {
    /// Stores what the feed caused up to `position`, and moves on to it. Stored twice, it is stored once.
    pub async fn advance(&self, tenant: &TenantId, changes: Vec<Change>, position: Position) -> Result<(), Error> {
        let mut chunks = changes.chunks(CHUNK).map(<[Change]>::to_vec).collect::<Vec<_>>();
        let last = chunks.pop().unwrap_or_default();
        for chunk in chunks {
            self.enqueue(tenant, chunk).await?;
        }
        let (tenant, now) = (tenant.clone(), self.now());
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    store_all(tx, &tenant, &last, now).await?;
                    move_to(tx, &tenant, position).await
                })
            })
            .await
    }

    /// Stores changes without moving on.
    pub async fn enqueue(&self, tenant: &TenantId, changes: Vec<Change>) -> Result<(), Error> {
        let (tenant, now) = (tenant.clone(), self.now());
        self.database.write(move |tx| Box::pin(async move { store_all(tx, &tenant, &changes, now).await })).await
    }

    /// The feed was lost, or is another's: every account known is to be looked at again as of `position`. Those whose
    /// users are not named by a following [`Self::enqueue`] are taken for gone; [`Self::end_resync`] moves on.
    pub async fn begin_resync(&self, tenant: &TenantId, position: Position) -> Result<(), Error> {
        let (tenant, now) = (tenant.clone(), self.now());
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    tx.execute("DELETE FROM push_positions WHERE tenant = $1", params![tenant.as_str()]).await?;
                    let sql = "UPDATE push_work SET desired_epoch = $2, desired_revision = $3, gone = 1, due_at = $4, \
                               attempts = 0 WHERE tenant = $1";
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
                    let sql = "UPDATE push_work SET revokes = 1, revokes_since = COALESCE(revokes_since, $2) \
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

async fn store_all(tx: &mut Tx<'_>, tenant: &TenantId, changes: &[Change], now: Timestamp) -> Result<(), Error> {
    for change in changes {
        store(tx, tenant, change, now).await?;
    }
    Ok(())
}

async fn store(tx: &mut Tx<'_>, tenant: &TenantId, change: &Change, now: Timestamp) -> Result<(), Error> {
    // A user who was renamed keeps the account it has until the tenant's policy, or an operator, says otherwise.
    let sql = "SELECT account FROM push_ledger WHERE tenant = $1 AND user_id = $2 AND standing <> 'parked' LIMIT 1";
    let kept = tx.row(sql, params![tenant.as_str(), change.user.as_bytes()]).await?;
    let name = fold(&change.user_name);
    let account = kept.as_ref().map_or(Ok(name.as_str()), |row| row.text(0))?;

    let sql = "SELECT user_id, user_name FROM push_work WHERE tenant = $1 AND account = $2 {for update}";
    if let Some(row) = tx.row(sql, params![tenant.as_str(), account]).await?
        && let Some(bearer) = user_id(&row, 0)?
        && bearer != change.user
    {
        if change.gone && fold(row.text(1)?) == account {
            // The account belongs to the user who now bears its name, not to one who is gone.
            return Ok(());
        }
        take_over(tx, tenant, account, row.text(1)?, change, now).await?;
    }
    upsert(tx, tenant, account, change, now).await
}

/// The account was another's, who bears another name by now or is gone: it goes to the user who bears the name. The
/// other, if it still bears some name, is looked at under that one.
async fn take_over(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    account: &str,
    others_name: &str,
    change: &Change,
    now: Timestamp,
) -> Result<(), Error> {
    let folded = fold(others_name);
    if folded != account {
        let sql = "INSERT INTO push_work (tenant, account, user_id, user_name, desired_epoch, desired_revision, gone, \
                   revokes, due_at, attempts, lease_until, fence) \
                   SELECT tenant, $3, user_id, user_name, desired_epoch, desired_revision, gone, revokes, $4, 0, 0, 0 \
                   FROM push_work WHERE tenant = $1 AND account = $2 ON CONFLICT (tenant, account) DO NOTHING";
        tx.execute(sql, params![tenant.as_str(), account, folded, now.0]).await?;
    }
    let sql = "UPDATE push_ledger SET user_id = $3, decision = NULL, decided_for = NULL \
               WHERE tenant = $1 AND account = $2";
    tx.execute(sql, params![tenant.as_str(), account, change.user.as_bytes()]).await?;
    Ok(())
}

async fn upsert(
    tx: &mut Tx<'_>,
    tenant: &TenantId,
    account: &str,
    change: &Change,
    now: Timestamp,
) -> Result<(), Error> {
    let Change { user, user_name, gone, takes_away, at, position } = change;
    let revokes = *gone || *takes_away;
    // An older change, met again after a crash, changes nothing.
    let sql = "INSERT INTO push_work (tenant, account, user_id, user_name, desired_epoch, desired_revision, gone, \
               revokes, revokes_since, due_at, attempts, lease_until, fence) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, 0) \
               ON CONFLICT (tenant, account) DO UPDATE SET user_id = excluded.user_id, user_name = excluded.user_name, \
               desired_epoch = excluded.desired_epoch, desired_revision = excluded.desired_revision, \
               gone = excluded.gone, \
               revokes = CASE WHEN excluded.revokes = 1 THEN 1 ELSE push_work.revokes END, \
               revokes_since = COALESCE(push_work.revokes_since, excluded.revokes_since), \
               due_at = excluded.due_at, attempts = 0 \
               WHERE push_work.desired_epoch <> excluded.desired_epoch \
               OR push_work.desired_revision < excluded.desired_revision \
               OR (push_work.desired_revision = excluded.desired_revision AND push_work.due_at IS NOT NULL)";
    let values = params![
        tenant.as_str(),
        account,
        user.as_bytes(),
        user_name,
        position.epoch.as_bytes(),
        position.revision.to_db(),
        *gone,
        revokes,
        revokes.then_some(at.0),
        now.0,
    ];
    tx.execute(sql, values).await?;
    Ok(())
}
