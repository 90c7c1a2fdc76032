//! Stores to test, each over a database of its own.
#![allow(clippy::unwrap_used, reason = "what a test needs and does not get fails the test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::clock::{Clock, Timestamp};
use domain::revision::RevisionKey;
use identity_store::{App, Config, DatabaseOptions, Parts, build};
use runtime::admin::Readiness;
use runtime::config::Secret;
use runtime::grpc::{Transport, TransportConfig};
use runtime::http_server::{HttpLimits, serve};
use runtime::peer::PeerSecret;
use runtime::telemetry::Metrics;
use sql::{Database, Engine, Statement, Value, params};
use store_suite::{Backend, Insider};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::MutexGuard;
use tokio_util::sync::{CancellationToken, DropGuard};

const SECRET: &str = "the secret that all parts of a test share";
/// How long a call may take. Longer than any does on a slow machine that stands still for a while. What holds only because
/// nobody waits so long in production is for [`Insider::as_in_production`] to show.
const PATIENCE: Duration = Duration::from_mins(2);

const PATIENT: DatabaseOptions = DatabaseOptions {
    connections: 16,
    wait: PATIENCE,
    statement: PATIENCE.saturating_add(Duration::from_secs(10)),
    lock: PATIENCE,
};

/// A store, what it runs on, and what ends it.
struct Running {
    app: App,
    /// More replicas over the same database.
    others: Vec<App>,
    /// Those that wait as in production, which only one test at a time has.
    in_production: Mutex<Option<(Vec<App>, MutexGuard<'static, ()>)>>,
    url: String,
    clock: Clock,
    _folder: Option<TempDir>,
    /// Where it listens, and what ends that when it is dropped.
    listener: Option<(String, DropGuard)>,
}

#[store_suite::async_trait]
impl Insider for Running {
    async fn audit_entries(&self, tenant: &str) -> u64 {
        self.app.store().audit_entries(&tenant.parse().unwrap()).await.unwrap()
    }

    async fn pass_time(&self, by: Duration) {
        self.clock.advance(by);
    }

    async fn renew_epoch(&self) {
        self.app.store().renew_epoch().await.unwrap();
    }

    async fn stock(&self, tenant: &str, users: usize) -> Vec<String> {
        const COUNT: &str = "UPDATE tenants SET user_count = user_count + $2 WHERE id = $1";
        let ids: Vec<_> = (0..users).map(|_| uuid::Uuid::now_v7()).collect();
        let rows = params![
            tenant,
            Value::ids(ids.iter().map(|id| &id.as_bytes()[..])),
            r#"{"userName":""#,
            r#"","active":true}"#,
        ];
        let count = Statement::new(COUNT, params![tenant, i64::try_from(users).unwrap()]);
        let database = Database::open(&self.url.parse().unwrap(), sql::Options::default(), "stock", &[]).await.unwrap();
        let insert = match database.engine() {
            Engine::Sqlite => SQLITE_STOCK,
            Engine::Postgres => POSTGRES_STOCK,
        };
        database.write(|tx| Box::pin(tx.batch(vec![Statement::new(insert, rows), count]))).await.unwrap();
        ids.iter().map(uuid::Uuid::to_string).collect()
    }

    async fn as_in_production(&self) -> Transport {
        static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let turn = ONE_AT_A_TIME.lock().await;
        let mut apps = Vec::new();
        if let Some((uri, _)) = &self.listener {
            *self.in_production.lock().unwrap() = Some((apps, turn));
            return connect(uri, PATIENCE);
        }
        for _ in 0..=self.others.len() {
            apps.push(replica(&self.url, &self.clock, DatabaseOptions::default()).await);
        }
        let transport = store_suite::in_turn(apps.iter().map(App::transport).collect()).with_timeout(PATIENCE);
        *self.in_production.lock().unwrap() = Some((apps, turn));
        transport
    }
}

macro_rules! stock {
    ($document:literal) => {
        concat!(
            "INSERT INTO users (tenant, id, user_name, user_name_folded, active, document, created_at, modified_at, version, \
             stamp) SELECT $1, ids.value, {hex:ids.value}, LOWER({hex:ids.value}), 1, ",
            $document,
            ", 0, 0, 0, 0 FROM {ids:$2} AS ids"
        )
    };
}
const SQLITE_STOCK: &str = stock!("CAST($3 || LOWER({hex:ids.value}) || $4 AS BLOB)");
const POSTGRES_STOCK: &str = stock!("convert_to($3 || LOWER({hex:ids.value}) || $4, 'UTF8')");

/// SQLite, called within the process.
pub(crate) async fn sqlite() -> Backend {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("identity.db").display());
    within_the_process(start(&url, Some(folder)).await)
}

/// PostgreSQL, called within the process.
pub(crate) async fn postgres() -> Backend {
    within_the_process(start(&fresh().await, None).await)
}

/// Two replicas over one PostgreSQL database, called in turn: what one keeps to itself, the next call does not find, and
/// only the tenant's row keeps their writes apart.
pub(crate) async fn two_replicas() -> Backend {
    let url = fresh().await;
    let mut running = start(&url, None).await;
    running.others.push(replica(&url, &running.clock, PATIENT).await);
    let replicas = std::iter::once(&running.app).chain(&running.others).map(App::transport).collect();
    Backend { transport: store_suite::in_turn(replicas).with_timeout(PATIENCE), insider: Arc::new(running) }
}

/// SQLite, called over a socket.
pub(crate) async fn over_the_network() -> Backend {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("identity.db").display());
    let mut running = start(&url, Some(folder)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let stack = running.app.server().network();
    let stopped = stop.clone();
    tokio::spawn(async move { serve(listener, stack, HttpLimits::peers(), None, &Metrics::new(), stopped).await });
    let transport = connect(&uri, PATIENCE);
    running.listener = Some((uri, stop.drop_guard()));
    Backend { transport, insider: Arc::new(running) }
}

fn connect(uri: &str, timeout: Duration) -> Transport {
    let config = TransportConfig { uri: uri.to_owned(), timeout, ..TransportConfig::default() };
    Transport::connect(&config, &PeerSecret::new(SECRET), &Metrics::new()).unwrap()
}

fn within_the_process(running: Running) -> Backend {
    Backend { transport: running.app.transport().with_timeout(PATIENCE), insider: Arc::new(running) }
}

async fn start(url: &str, folder: Option<TempDir>) -> Running {
    let clock = Clock::manual(Timestamp(1_800_000_000_000_000));
    let app = replica(url, &clock, PATIENT).await;
    let (others, in_production) = (Vec::new(), Mutex::default());
    Running { app, others, in_production, url: url.to_owned(), clock, _folder: folder, listener: None }
}

async fn replica(url: &str, clock: &Clock, database_options: DatabaseOptions) -> App {
    let config = Config {
        database: Some(url.into()),
        database_options,
        pepper: Some(Secret::new("the pepper of the tests, which is long enough")),
        poll: Duration::from_millis(20),
        ..Config::default()
    };
    let parts = Parts {
        revision_key: RevisionKey::derive(b"tests"),
        peers: PeerSecret::new(SECRET),
        metrics: Metrics::new(),
        readiness: Readiness::default(),
        clock: clock.clone(),
    };
    build(&config, parts).await.unwrap()
}

/// A new, empty database on the PostgreSQL server of the tests.
async fn fresh() -> String {
    servers::fresh_database("suite").await.unwrap()
}
