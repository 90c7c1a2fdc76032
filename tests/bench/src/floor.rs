//! The floor of POST: the rows of a new user, written by one thread in one prepared transaction after another, with the
//! durability the product has. Their schema is the product's own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use domain::clock::Clock;
use domain::id::{TenantId, UserId};
use domain::settings::Settings;
use domain::token::Pepper;
use futures_util::future::try_join_all;
use futures_util::try_join;
use identity_store::Store;
use rusqlite::{Connection, TransactionBehavior, params};
use tokio_postgres::NoTls;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::person;

/// A database of its own that has one tenant.
#[derive(Clone, Debug)]
pub(crate) enum Floor {
    /// A file beside the product's.
    Sqlite(PathBuf),
    /// A database on the product's server.
    Postgres(String),
}

/// How a transaction reaches a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Each statement is answered before the next is sent.
    OneByOne,
    /// All statements are sent at once. There is no way there for a file.
    Together,
}

const TENANT: &str = "floor";
const STANDS: &str = "SELECT revision FROM tenants WHERE id = 'floor'";
// Both engines read these: `$1`, `$2`, … first appear in order.
const USER: &str = "INSERT INTO users (tenant, id, user_name, user_name_folded, external_id, active, document, \
     created_at, modified_at, version, stamp) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $9)";
const EMAIL: &str = "INSERT INTO user_emails (tenant, folded, user_id) VALUES ($1, $2, $3)";
const FEED: &str = "INSERT INTO feed (tenant, revision, part, at, takes_away, kind, payload) \
     VALUES ($1, $2, 0, $3, 0, 'user', $4)";
const AUDIT: &str = "INSERT INTO audit (tenant, id, at, revision, token_id, request_id, operation, object, attributes) \
     VALUES ($1, $2, $3, $4, $5, $6, 'user.create', $7, $8)";
const ADVANCE: &str = "UPDATE tenants SET revision = $1, user_count = user_count + 1 WHERE id = $2";
const TOKEN_ID: &str = "0123456789ab";

/// What the rows of one user say.
struct Rows {
    revision: i64,
    at: i64,
    id: UserId,
    object: String,
    name: String,
    external_id: String,
    email: String,
    document: String,
    payload: String,
    audit: Uuid,
    request_id: String,
}

impl Rows {
    fn new(revision: i64) -> Self {
        let (id, name) = (UserId::new(), format!("floor-{revision}"));
        Self {
            revision,
            at: Clock::System.now().0,
            object: id.to_string(),
            external_id: person::external_id(&name),
            email: person::email(&name),
            document: person::document(&name),
            payload: format!(r#"{{"id":"{id}","name":"{name}","exists":true,"active":true,"access":true}}"#),
            audit: Uuid::now_v7(),
            request_id: Uuid::now_v7().to_string(),
            id,
            name,
        }
    }
}

impl Floor {
    /// A file at this path.
    pub(crate) async fn sqlite(path: &Path) -> Result<Self> {
        prepare(&format!("sqlite:{}", path.display())).await?;
        Ok(Self::Sqlite(path.to_owned()))
    }

    /// The empty database at this URL.
    pub(crate) async fn postgres(url: String) -> Result<Self> {
        prepare(&url).await?;
        Ok(Self::Postgres(url))
    }

    /// Writes so many users; answers how long it took, the connection not counted.
    pub(crate) async fn write(&self, count: usize, way: Way) -> Result<Duration> {
        let floor = self.clone();
        tokio::task::spawn_blocking(move || match floor {
            Self::Sqlite(path) => sqlite(&path, count),
            Self::Postgres(url) => {
                // The connection's driver and the writer take turns on this thread.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(postgres(&url, count, way))
            }
        })
        .await?
    }
}

async fn prepare(url: &str) -> Result<()> {
    let store = Store::open(url, Clock::System, Pepper::derive(b"the floor")).await?;
    let tenant: TenantId = TENANT.parse()?;
    Ok(store.create_tenant(&tenant, Settings::default()).await?)
}

fn sqlite(path: &Path, count: usize) -> Result<Duration> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    let mut revision: i64 = connection.query_row(STANDS, [], |row| row.get(0))?;
    let began = Instant::now();
    for _ in 0..count {
        revision += 1;
        let it = Rows::new(revision);
        let (id, document, audit) = (it.id.as_bytes(), it.document.as_bytes(), it.audit.as_bytes());
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.prepare_cached(USER)?.execute(params![
            TENANT,
            id,
            it.name,
            it.name,
            it.external_id,
            1,
            document,
            it.at,
            it.revision
        ])?;
        tx.prepare_cached(FEED)?.execute(params![TENANT, it.revision, it.at, it.payload])?;
        tx.prepare_cached(AUDIT)?.execute(params![
            TENANT,
            audit,
            it.at,
            it.revision,
            TOKEN_ID,
            it.request_id,
            it.object,
            person::ATTRIBUTES,
        ])?;
        tx.prepare_cached(EMAIL)?.execute(params![TENANT, it.email, id])?;
        tx.prepare_cached(ADVANCE)?.execute(params![it.revision, TENANT])?;
        tx.commit()?;
    }
    Ok(began.elapsed())
}

async fn postgres(url: &str, count: usize, way: Way) -> Result<Duration> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("connecting to PostgreSQL")?;
    let driver = tokio::spawn(connection);
    let statements = try_join_all([USER, FEED, AUDIT, EMAIL, ADVANCE].map(|sql| client.prepare(sql))).await?;
    let mut revision: i64 = client.query_one(STANDS, &[]).await?.get(0);
    let began = Instant::now();
    for _ in 0..count {
        revision += 1;
        let it = Rows::new(revision);
        let (id, document, audit) = (&it.id.as_bytes()[..], it.document.as_bytes(), &it.audit.as_bytes()[..]);
        let user: [&(dyn ToSql + Sync); 9] =
            [&TENANT, &id, &it.name, &it.name, &it.external_id, &1_i64, &document, &it.at, &it.revision];
        let feed: [&(dyn ToSql + Sync); 4] = [&TENANT, &it.revision, &it.at, &it.payload];
        let audit: [&(dyn ToSql + Sync); 8] =
            [&TENANT, &audit, &it.at, &it.revision, &TOKEN_ID, &it.request_id, &it.object, &person::ATTRIBUTES];
        let email: [&(dyn ToSql + Sync); 3] = [&TENANT, &it.email, &id];
        let advance: [&(dyn ToSql + Sync); 2] = [&it.revision, &TENANT];
        let values = [&user[..], &feed, &audit, &email, &advance];
        // Nothing is sent before it is awaited.
        let (open, close) = (client.batch_execute("BEGIN"), client.batch_execute("COMMIT"));
        let rows = statements.iter().zip(values).map(|(statement, values)| client.execute(statement, values));
        match way {
            Way::OneByOne => {
                open.await?;
                for row in rows {
                    row.await?;
                }
                close.await?;
            }
            // Polled in order, so sent in order.
            Way::Together => {
                try_join!(open, try_join_all(rows), close)?;
            }
        }
    }
    let took = began.elapsed();
    drop(client);
    driver.await??;
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_rows_fit_the_products_schema_and_go_on_where_they_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("floor.db");
        let floor = Floor::sqlite(&path).await.unwrap();
        floor.write(2, Way::OneByOne).await.unwrap();
        floor.write(1, Way::OneByOne).await.unwrap();
        let database = Connection::open(path).unwrap();
        let count = |of: &str| -> i64 { database.query_row(of, [], |row| row.get(0)).unwrap() };
        assert_eq!(count("SELECT user_count FROM tenants"), 3);
        assert_eq!(count(STANDS), 3);
        for table in ["users", "user_emails", "feed"] {
            assert_eq!(count(&format!("SELECT COUNT(*) FROM {table}")), 3, "{table}");
        }
        assert_eq!(count("SELECT COUNT(*) FROM audit WHERE operation = 'user.create'"), 3);
    }
}
