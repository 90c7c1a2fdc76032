//! The store: every operation on tenants, users, groups, catalogue, feed and tokens, in domain types.
//!
//! Reads run on one snapshot each; changes go through [`commit`], which gives each a revision of its own. Each file
//! below has one subject and all its SQL. Only files of this folder know a database.

mod affected;
mod alarms;
mod audit;
mod catalogue;
mod commit;
mod crowd;
mod document;
pub(crate) mod extensions;
mod feed;
mod filter;
mod ground;
mod group_labels;
mod groups;
mod heads;
mod held_back;
mod holders;
mod holdings;
mod labels;
mod labels_in_use;
mod lists;
mod members;
mod noted;
mod outcomes;
mod pending;
mod preview;
mod recount;
mod retention;
mod rules;
mod tenants;
mod tokens;
mod user_groups;
mod users;

use std::sync::Arc;

use domain::access_token::AccessKeys;
use domain::clock::{Clock, Timestamp};
use domain::id::{GroupId, TenantId, UserId};
use domain::revision::{Epoch, Position, Revision};
use domain::token::{BearerToken, Peppers, TokenHash};
use sql::{Database, Engine, Migration, Row, Tx, params};

use self::alarms::Alarms;
use self::commit::Committer;
pub(crate) use self::group_labels::sound as sound_group_labels;
use self::heads::HeadBoard;
pub(crate) use self::heads::SILENCE;
use self::lists::Scans;
use crate::failure::Failure;

/// The schema's history.
const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, sql: include_str!("../migrations/0001_initial.sql") },
    Migration { version: 2, sql: include_str!("../migrations/0002_inactive_users.sql") },
    Migration { version: 3, sql: include_str!("../migrations/0003_extensions.sql") },
    Migration { version: 4, sql: include_str!("../migrations/0004_taking_away.sql") },
    Migration { version: 5, sql: include_str!("../migrations/0005_group_labels.sql") },
    Migration { version: 6, sql: include_str!("../migrations/0006_rule_sets.sql") },
    Migration { version: 7, sql: include_str!("../migrations/0007_pending_grounds.sql") },
    Migration { version: 8, sql: include_str!("../migrations/0008_departures.sql") },
    Migration { version: 9, sql: include_str!("../migrations/0009_held_back.sql") },
    Migration { version: 10, sql: include_str!("../migrations/0010_inactive_users_by_name.sql") },
];

/// What SQLite is told of the data; PostgreSQL finds out by itself.
const SQLITE_STATISTICS: &str = include_str!("../migrations/sqlite_statistics.sql");

/// The store over one database. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    database: Database,
    committer: Committer,
    alarms: Alarms,
    board: Arc<HeadBoard>,
    scans: Scans,
    clock: Clock,
    peppers: Arc<Peppers>,
    /// A hash no token has, for comparing where there is no token.
    dummy: TokenHash,
    access_keys: AccessKeys,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("database", &self.database).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database at `url` (`sqlite:PATH` or `postgres://…`), brings its schema up to date, and begins its first
    /// epoch if it is new.
    pub async fn open(url: &str, clock: Clock, peppers: impl Into<Peppers>) -> Result<Self, Failure> {
        Self::open_with(url, sql::Options::default(), clock, peppers).await
    }

    /// The same with other waits.
    pub async fn open_with(
        url: &str,
        options: sql::Options,
        clock: Clock,
        peppers: impl Into<Peppers>,
    ) -> Result<Self, Failure> {
        let peppers = peppers.into();
        let url = url
            .parse()
            .map_err(|error: sql::InvalidUrl| Failure::Invalid { field: "database", expected: error.to_string() })?;
        let opened = Database::open(&url, options, "identity-store", MIGRATIONS).await;
        let database = opened.map_err(|error| Failure::Opening(error.of_opening()))?;
        let epoch = database
            .write(|tx| {
                Box::pin(async move {
                    const FIRST: &str = "INSERT INTO meta (one, epoch) VALUES (1, $1) ON CONFLICT DO NOTHING";
                    tx.execute(FIRST, params![Epoch::new().as_bytes()]).await?;
                    if tx.engine() == Engine::Sqlite {
                        tx.script(SQLITE_STATISTICS).await?;
                    }
                    epoch_of(tx).await
                })
            })
            .await?;
        let board = Arc::new(HeadBoard::new(epoch));
        let alarms = Alarms::default();
        let committer = Committer::new(database.clone(), clock.clone(), Arc::clone(&board), alarms.clone());
        let dummy = BearerToken::generate().hash(&peppers.current);
        let access_keys = AccessKeys::derive(&peppers);
        let scans = Scans::default();
        let store =
            Self { database, committer, alarms, board, scans, clock, dummy, access_keys, peppers: Arc::new(peppers) };
        store.refresh_heads().await?;
        Ok(store)
    }

    /// What a person must look at, to be told with other metrics.
    pub(crate) fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// The time by the store's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Begins a new epoch: to be done once after the database was restored from a backup, so that whatever others have
    /// learnt from its lost future can't pass for true.
    pub async fn renew_epoch(&self) -> Result<Epoch, Failure> {
        let epoch = Epoch::new();
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    tx.execute("UPDATE meta SET epoch = $1", params![epoch.as_bytes()]).await?;
                    Ok::<_, Failure>(())
                })
            })
            .await?;
        self.refresh_heads().await?;
        Ok(epoch)
    }
}

impl From<sql::Error> for Failure {
    /// What the database said goes to the log; the caller learns what it can do about it.
    fn from(error: sql::Error) -> Self {
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        match error.kind() {
            sql::ErrorKind::Unavailable | sql::ErrorKind::Unknown => {
                tracing::warn!(%error, source, "the database did not answer as it should");
                Self::Unavailable
            }
            sql::ErrorKind::Defect => {
                tracing::error!(%error, source, "the database refused a statement");
                Self::Internal
            }
        }
    }
}

impl From<domain::id::InvalidId> for Failure {
    /// An id in the database is no id.
    fn from(error: domain::id::InvalidId) -> Self {
        tracing::error!(%error, "a row holds an invalid id");
        Self::Internal
    }
}

async fn epoch_of(tx: &mut Tx<'_>) -> Result<Epoch, Failure> {
    let row = tx.row("SELECT epoch FROM meta", vec![]).await?.ok_or(Failure::Internal)?;
    Epoch::from_slice(row.bytes(0)?).ok_or(Failure::Internal)
}

/// Where a tenant stands in the snapshot being read.
#[derive(Clone, Copy, Debug)]
struct Standing {
    position: Position,
    ground_version: Revision,
    feed_floor: Revision,
    users: u64,
    inactive: u64,
    groups: u64,
}

/// Reads it; [`Failure::TenantNotFound`] if there is no such tenant. The first statement of every read.
async fn standing(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<Standing, Failure> {
    const STANDING: &str = "SELECT revision, (SELECT epoch FROM meta), ground_version, feed_floor, user_count, \
         inactive_count, group_count FROM tenants WHERE id = $1";
    let row = tx.row(STANDING, params![tenant.as_str()]).await?.ok_or(Failure::TenantNotFound)?;
    let epoch = Epoch::from_slice(row.bytes(1)?).ok_or(Failure::Internal)?;
    Ok(Standing {
        position: Position { epoch, revision: Revision::from_db(row.int(0)?) },
        ground_version: Revision::from_db(row.int(2)?),
        feed_floor: Revision::from_db(row.int(3)?),
        users: u64::try_from(row.int(4)?).unwrap_or(0),
        inactive: u64::try_from(row.int(5)?).unwrap_or(0),
        groups: u64::try_from(row.int(6)?).unwrap_or(0),
    })
}

fn user_id(row: &Row, column: usize) -> Result<UserId, Failure> {
    Ok(UserId::from_slice(row.bytes(column)?)?)
}

fn group_id(row: &Row, column: usize) -> Result<GroupId, Failure> {
    Ok(GroupId::from_slice(row.bytes(column)?)?)
}

fn time(row: &Row, column: usize) -> Result<Timestamp, Failure> {
    Ok(Timestamp(row.int(column)?))
}

/// A list of texts as the database keeps it.
fn list_to_db<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    serde_json::Value::from(texts.into_iter().collect::<Vec<_>>()).to_string()
}

fn list_from_db(text: &str) -> Result<Vec<String>, Failure> {
    serde_json::from_str(text).map_err(|error| {
        tracing::error!(%error, "a row holds no list of texts");
        Failure::Internal
    })
}

#[cfg(test)]
mod tests;
