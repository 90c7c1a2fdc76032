//! A real identity-store, and replicas of role-resolver over it that keep sets in every way there is.

use std::time::Duration;

use domain::clock::Clock;
use domain::revision::RevisionKey;
use identity_store::DatabaseOptions;
use proto::roles::v1::label_service_client::LabelServiceClient;
use proto::roles::v1::role_service_client::RoleServiceClient;
use role_resolver::{CacheConfig, RedisConfig};
use runtime::admin::Readiness;
use runtime::config::Secret;
use runtime::grpc::{MAX_MESSAGE_BYTES, Server, Transport};
use runtime::peer::PeerSecret;
use runtime::telemetry::Metrics;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const SECRET: &str = "the secret that all parts of a test share";
/// How long a call may take. Longer than any does on a slow machine that stands still for a while.
const PATIENCE: Duration = Duration::from_mins(2);

/// What the store keeps its data in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// All parts. Dropping it ends them.
pub(crate) struct Family {
    pub(crate) key: RevisionKey,
    pub(crate) replicas: Vec<Replica>,
    store: identity_store::App,
    _folder: TempDir,
}

/// One replica of role-resolver.
pub(crate) struct Replica {
    /// How it keeps sets.
    pub(crate) how: &'static str,
    /// How old the state may be that it answers from where nobody says how fresh it must be.
    pub(crate) within: Duration,
    pub(crate) metrics: Metrics,
    server: Server,
}

impl Replica {
    pub(crate) fn roles(&self) -> RoleServiceClient<Transport> {
        RoleServiceClient::new(self.transport()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn labels(&self) -> LabelServiceClient<Transport> {
        LabelServiceClient::new(self.transport()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn transport(&self) -> Transport {
        self.server.in_process().with_timeout(PATIENCE)
    }
}

impl Family {
    /// A store on an engine, and one replica for each way to keep sets; those that share them do it in a Redis at `redis`.
    pub(crate) async fn start(engine: Engine, redis: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match engine {
            Engine::Sqlite => format!("sqlite:{}", folder.path().join("identity.db").display()),
            Engine::Postgres => servers::fresh_database("resolver").await.unwrap(),
        };
        let key = RevisionKey::derive(b"tests");
        let config = identity_store::Config {
            database: Some(url.as_str().into()),
            database_options: DatabaseOptions {
                wait: PATIENCE,
                lock: PATIENCE,
                statement: PATIENCE + Duration::from_secs(10),
                ..DatabaseOptions::default()
            },
            pepper: Some(Secret::new("the pepper of the tests, which is long enough")),
            poll: Duration::from_millis(20),
            ..identity_store::Config::default()
        };
        let parts = identity_store::Parts {
            revision_key: key.clone(),
            peers: PeerSecret::new(SECRET),
            metrics: Metrics::new(),
            readiness: Readiness::default(),
            clock: Clock::System,
        };
        let store = identity_store::build(&config, parts).await.unwrap();
        let mut family = Self { key, replicas: Vec::new(), store, _folder: folder };
        let (keeps, nothing) = (CacheConfig::default(), CacheConfig { near_bytes: 0, ..CacheConfig::default() });
        let impatient = CacheConfig { confirmed_within: Duration::from_millis(100), ..keeps };
        family.add("nothing", CacheConfig { confirmed_within: Duration::ZERO, ..nothing }, None).await;
        family.add("in the process", impatient, None).await;
        family.add("in the process, with a short memory", CacheConfig { stamps: 2, ..keeps }, None).await;
        if redis.is_some() {
            family.add("in Redis", nothing, redis).await;
            family.add("in both", impatient, redis).await;
            family.add("in both, with a short memory", CacheConfig { stamps: 2, ..keeps }, redis).await;
        }
        family
    }

    /// One more replica.
    pub(crate) async fn add(&mut self, how: &'static str, cache: CacheConfig, redis: Option<&str>) {
        let secret = Some("the secret under which entries are kept".into());
        let redis = RedisConfig { url: redis.map(Secret::new), secret, ..RedisConfig::default() };
        let config = role_resolver::Config { cache, redis, ..role_resolver::Config::default() };
        let metrics = Metrics::new();
        let parts = role_resolver::Parts {
            identity_store: self.store(),
            revision_key: self.key.clone(),
            peers: PeerSecret::new(SECRET),
            metrics: metrics.clone(),
            readiness: Readiness::default(),
            clock: Clock::System,
            fixed_token: None,
            stop: CancellationToken::new(),
        };
        let server = role_resolver::build(&config, parts).await.unwrap();
        self.replicas.push(Replica { how, within: cache.confirmed_within, metrics, server });
    }

    /// The way to the store.
    pub(crate) fn store(&self) -> Transport {
        self.store.transport().with_timeout(PATIENCE)
    }
}
