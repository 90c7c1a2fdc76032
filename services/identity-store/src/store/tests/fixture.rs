//! A store of its own for each test, on each engine, with a tenant in it and a clock that stands still.

use domain::clock::{Clock, Timestamp};
use domain::id::{TenantId, UserId};
use domain::revision::{Position, Revision};
use domain::settings::Settings;
use domain::token::Pepper;
use sql::{Statement, Value, params};

use crate::model::{Actor, Entry, Held, Holding, Include, ListRequest, Start, User, UserKey, Wanted, Written};
use crate::{Failure, Store};

pub(super) struct Fixture {
    pub(super) store: Store,
    pub(super) tenant: TenantId,
    pub(super) clock: Clock,
    url: String,
    folder: Option<tempfile::TempDir>,
}

/// Runs a test on a fresh database of each engine.
pub(super) async fn each(test: impl AsyncFn(&Fixture)) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    test(&open(url, Some(folder)).await).await;
    test(&open(servers::fresh_database("identity").await.unwrap(), None).await).await;
}

async fn open(url: String, folder: Option<tempfile::TempDir>) -> Fixture {
    let clock = Clock::manual(Timestamp(1_800_000_000_000_000));
    let store = replica(&url, &clock).await;
    let tenant: TenantId = "acme".parse().unwrap();
    store.create_tenant(&tenant, Settings::default()).await.unwrap();
    Fixture { store, tenant, clock, url, folder }
}

async fn replica(url: &str, clock: &Clock) -> Store {
    Store::open(url, clock.clone(), Pepper::derive(b"pepper")).await.unwrap()
}

impl Fixture {
    /// Another store over the same database.
    pub(super) async fn replica(&self) -> Store {
        replica(&self.url, &self.clock).await
    }

    /// How often the SQLite file was committed to since its log began: each time, a frame of the log says how large the
    /// file then is. `None` on PostgreSQL.
    pub(super) fn sqlite_commits(&self) -> Option<usize> {
        const HEADER: usize = 32;
        const OF_FRAME: usize = 24;
        let log = std::fs::read(self.folder.as_ref()?.path().join("test.db-wal")).unwrap();
        let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
        Some(log[HEADER..].chunks_exact(OF_FRAME + page).filter(|frame| frame[4..8] != [0; 4]).count())
    }

    pub(super) async fn create(&self, document: &str) -> Result<Written<User>, Failure> {
        self.store.create_user(&self.tenant, Actor::default(), document.into()).await
    }

    pub(super) async fn user(&self, name: &str, labels: &[&str]) -> UserId {
        self.create(&document(name, labels)).await.unwrap().value.id
    }

    pub(super) async fn replace(&self, id: UserId, expected: u64, document: &str) -> Result<Written<User>, Failure> {
        self.store
            .replace_user(&self.tenant, Actor::default(), &id.to_string(), Revision(expected), document.into())
            .await
    }

    pub(super) async fn holding(&self, id: UserId) -> Option<Holding> {
        let keys = vec![UserKey::Id(id.to_string())];
        let mut users =
            self.store.get_holdings(&self.tenant, keys, vec![], Include::default()).await.unwrap().value.users;
        users.remove(0).map(|held| match held {
            Held::Read(holding) => holding,
            Held::Unchanged(_) | Held::Back(..) => unreachable!("nothing is kept, and nobody held back is asked for"),
        })
    }

    pub(super) async fn head(&self) -> Position {
        self.store.get_holdings(&self.tenant, vec![], vec![], Include::default()).await.unwrap().position
    }

    pub(super) async fn feed(&self) -> Vec<Entry> {
        let start = Position { revision: Revision(0), ..self.head().await };
        self.store.read_feed(&self.tenant, start, Wanted::All, 0).await.unwrap().value.entries
    }
}

pub(super) fn document(name: &str, labels: &[&str]) -> String {
    let roles: Vec<_> = labels.iter().map(|label| serde_json::json!({ "value": label })).collect();
    serde_json::json!({ "userName": name, "active": true, "roles": roles }).to_string()
}

/// A page of a list in order of ids.
pub(super) fn wanted(filter: &str, start: u32, count: u32) -> ListRequest {
    let base_url = "https://host/scim/v2".to_owned();
    ListRequest { filter: filter.to_owned(), sort: None, start: Start::Index(start), count, base_url }
}

/// Users made without the work of a change each: only their rows.
pub(super) async fn many_users(f: &Fixture, count: usize) -> Vec<UserId> {
    alike(f, count, r#"{"userName":"u"}"#).await
}

/// The same, each with this document.
pub(super) async fn alike(f: &Fixture, count: usize, document: &str) -> Vec<UserId> {
    const INSERT: &str = "INSERT INTO users (tenant, id, user_name, user_name_folded, active, document, created_at, \
         modified_at, version, stamp) SELECT $1, ids.value, 'u', hex(ids.value), 1, $3, 0, 0, 0, 0 \
         FROM {ids:$2} AS ids";
    const NAMED: &str = "INSERT INTO users (tenant, id, user_name, user_name_folded, active, document, created_at, \
         modified_at, version, stamp) SELECT $1, ids.value, 'u', encode(ids.value, 'hex'), 1, $3, 0, 0, 0, 0 \
         FROM {ids:$2} AS ids";
    let ids: Vec<_> = (0..count).map(|_| UserId::new()).collect();
    let values = params![f.tenant.as_str(), Value::ids(ids.iter().map(|id| &id.as_bytes()[..])), document.as_bytes()];
    f.store
        .database
        .write(move |tx| {
            Box::pin(async move {
                let sql = if tx.engine() == sql::Engine::Sqlite { INSERT } else { NAMED };
                tx.batch(vec![Statement::new(sql, values)]).await?;
                Ok::<_, Failure>(())
            })
        })
        .await
        .unwrap();
    ids
}
