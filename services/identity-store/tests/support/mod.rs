//! Stores to test, each over a database of its own.
#![allow(clippy::unwrap_used, reason = "what a test needs and does not get fails the test")]

use std::sync::Arc;
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
use store_suite::{Backend, Insider};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const SECRET: &str = "the secret that all parts of a test share";
/// How long a call may take. Longer than any does on a slow machine that stands still for a while.
const PATIENCE: Duration = Duration::from_mins(2);

/// A store, what it runs on, and what ends it.
struct Running {
    app: App,
    /// More replicas over the same database.
    others: Vec<App>,
    clock: Clock,
    _folder: Option<TempDir>,
    /// Ends the listener when it is dropped.
    listener: Option<DropGuard>,
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
}

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
    running.others.push(replica(&url, &running.clock).await);
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
    running.listener = Some(stop.drop_guard());
    let config = TransportConfig { uri, timeout: PATIENCE, ..TransportConfig::default() };
    let transport = Transport::connect(&config, &PeerSecret::new(SECRET), &Metrics::new()).unwrap();
    Backend { transport, insider: Arc::new(running) }
}

fn within_the_process(running: Running) -> Backend {
    Backend { transport: running.app.transport().with_timeout(PATIENCE), insider: Arc::new(running) }
}

async fn start(url: &str, folder: Option<TempDir>) -> Running {
    let clock = Clock::manual(Timestamp(1_800_000_000_000_000));
    let app = replica(url, &clock).await;
    Running { app, others: Vec::new(), clock, _folder: folder, listener: None }
}

async fn replica(url: &str, clock: &Clock) -> App {
    let config = Config {
        database: Some(url.into()),
        database_options: DatabaseOptions {
            wait: PATIENCE,
            lock: PATIENCE,
            statement: PATIENCE + Duration::from_secs(10),
            ..DatabaseOptions::default()
        },
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
