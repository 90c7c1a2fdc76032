//! The pusher's own tables: where it stands in the feed, what there is to do, and which accounts are ours.
//!
//! * `push_positions`: how far each tenant's feed has been dealt with. It moves only in a transaction that comes after
//!   everything the entries caused is stored.
//! * `push_work`: at most one entry for each Fluent account, that is, for each folded user name of a tenant. It is
//!   absolute: it says that the account is to be looked at, not what is to be done.
//! * `push_ledger`: the accounts we made, adopted or were refused.
//! * `push_leases`: who reads a tenant's catalogue, with a fencing number.

mod accounts;
mod backlog;
mod enqueue;
mod ledger;
mod work;

use std::sync::Arc;
use std::time::Duration;

use domain::clock::{Clock, Timestamp};
use domain::id::{TenantId, UserId};
use domain::revision::{Epoch, Position, Revision};
use sql::{Database, Migration, Options, Row, Tx, Url, params};

pub use accounts::{Change, Presence};
pub use backlog::{Attention, Backlog};
pub use ledger::{Decision, Entry, Standing};
pub use work::{Ending, Finished, Job, Lease, Report, Take, Turn};

const OWNER: &str = "fluent-pusher";

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, sql: include_str!("store/migrations/0001.sql") },
    Migration { version: 2, sql: include_str!("store/migrations/0002.sql") },
];

/// The tables. Clones share them.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    clock: Clock,
    /// Whose leases are ours: the name of this instance, the same after a restart.
    instance: Arc<str>,
}

/// What a store answers when it can't.
pub type Error = sql::Error;

impl Store {
    /// Opens the database and brings its tables up to date. `instance` names this process among its replicas.
    pub async fn open(url: &Url, options: Options, clock: Clock, instance: &str) -> Result<Self, Error> {
        let database = Database::open(url, options, OWNER, MIGRATIONS).await?;
        Ok(Self { database, clock, instance: instance.into() })
    }

    /// The same tables, seen by another instance.
    #[cfg(test)]
    pub(crate) fn of_instance(&self, instance: &str) -> Self {
        Self { instance: instance.into(), ..self.clone() }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Asks whether the tables can be read.
    pub async fn answers(&self) -> Result<(), Error> {
        self.database.point("SELECT tenant FROM push_positions LIMIT 1", params![]).await.map(drop)
    }

    /// How far the tenant's feed has been dealt with; `None` for a tenant that is new here.
    pub async fn position(&self, tenant: &TenantId) -> Result<Option<Position>, Error> {
        let sql = "SELECT epoch, revision FROM push_positions WHERE tenant = $1";
        let row = self.database.point(sql, params![tenant.as_str()]).await?;
        row.map(|row| position(&row, 0, 1)).transpose().map(Option::flatten)
    }

    /// Takes the right to read the tenant's catalogue. Each time comes with a larger number, so that what an earlier
    /// reader still writes can be refused. `None` while another holds it, and, with `unless_read_after`, if a complete
    /// read was begun later than that.
    pub async fn lease_catalogue(
        &self,
        tenant: &TenantId,
        term: Duration,
        unless_read_after: Option<Timestamp>,
    ) -> Result<Option<u64>, Error> {
        let (tenant, owner, now) = (tenant.clone(), self.instance.clone(), self.now());
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    let insert = "INSERT INTO push_leases (tenant, fence, owner, lease_until, read_at) \
                                  VALUES ($1, 0, '', 0, 0) ON CONFLICT (tenant) DO NOTHING";
                    tx.execute(insert, params![tenant.as_str()]).await?;
                    let update = "UPDATE push_leases SET owner = $2, lease_until = $4, fence = fence + 1 \
                                  WHERE tenant = $1 AND (owner = $2 OR lease_until <= $3) AND read_at <= $5";
                    let latest = unless_read_after.map_or(i64::MAX, |at| at.0);
                    let values = params![tenant.as_str(), &*owner, now.0, now.plus(term).0, latest];
                    if tx.execute(update, values).await? == 0 {
                        return Ok(None);
                    }
                    let row =
                        tx.row("SELECT fence FROM push_leases WHERE tenant = $1", params![tenant.as_str()]).await?;
                    row.map(|row| row.int(0)).transpose().map(|fence| fence.and_then(|fence| u64::try_from(fence).ok()))
                })
            })
            .await
    }

    /// A complete read, begun at `begun`, is stored: others may read from `until` on.
    pub async fn end_catalogue(
        &self,
        tenant: &TenantId,
        fence: u64,
        begun: Timestamp,
        until: Timestamp,
    ) -> Result<(), Error> {
        let (tenant, fence) = (tenant.clone(), i64::try_from(fence).unwrap_or(i64::MAX));
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE push_leases SET lease_until = $4, read_at = $3 WHERE tenant = $1 AND fence = $2";
                    tx.execute(sql, params![tenant.as_str(), fence, begun.0, until.0]).await?;
                    Ok(())
                })
            })
            .await
    }
}

/// Two columns that are a position. `None` if they are null, or bytes that are no epoch.
fn position(row: &Row, epoch: usize, revision: usize) -> Result<Option<Position>, Error> {
    let epoch = row.maybe_bytes(epoch)?.and_then(Epoch::from_slice);
    let revision = row.maybe_int(revision)?.map(Revision::from_db);
    Ok(epoch.zip(revision).map(|(epoch, revision)| Position { epoch, revision }))
}

/// A column that is a user's id.
fn user_id(row: &Row, column: usize) -> Result<Option<UserId>, Error> {
    Ok(row.maybe_bytes(column)?.and_then(|bytes| UserId::from_slice(bytes).ok()))
}

/// Makes an account due now.
async fn make_due(tx: &mut Tx<'_>, tenant: &TenantId, account: &str, now: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE push_work SET due_at = $3, attempts = 0 WHERE tenant = $1 AND account = $2";
    Ok(tx.execute(sql, params![tenant.as_str(), account, now.0]).await? > 0)
}

#[cfg(test)]
mod tests;
