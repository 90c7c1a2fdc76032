//! identity-store: tenants, users, groups, their labels, the catalogue, the feed of changes and the hashes of tokens.
//!
//! [`build`] opens the database and puts the services together; what it returns is served on a listener and called
//! within the process alike. Read in this order: [`model`] (what is kept), [`store`] (how, beginning with
//! `store/commit.rs`), `convert` and `grpc` (the contract around it).

mod ageing;
mod config;
mod convert;
mod failure;
mod grpc;
mod judge;
pub mod model;
pub mod store;
mod upkeep;

use domain::clock::Clock;
use domain::revision::RevisionKey;
use domain::token::{Pepper, Peppers};
use runtime::admin::Readiness;
use runtime::config::Secret;
use runtime::grpc::{Server, Transport};
use runtime::peer::PeerSecret;
use runtime::telemetry::Metrics;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use config::{Config, DatabaseUrl};
pub use failure::Failure;
pub use sql::Options as DatabaseOptions;
pub use store::Store;

/// What identity-store is put together from, besides its configuration.
#[derive(Debug)]
pub struct Parts {
    /// What revision tokens are made with; the same in every part.
    pub revision_key: RevisionKey,
    /// What proves that a caller is a part of Rolecall.
    pub peers: PeerSecret,
    /// Where calls are counted.
    pub metrics: Metrics,
    /// Told whether the database answers.
    pub readiness: Readiness,
    /// Where the time comes from.
    pub clock: Clock,
}

/// identity-store could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The database can't be used.
    #[error("the database can't be opened")]
    Store(#[from] Failure),
    /// The services can't be served.
    #[error("the services can't be put together")]
    Server(#[from] runtime::grpc::BuildError),
}

/// The running identity-store. When it is dropped its work in the background ends and its streams close.
#[derive(Debug)]
pub struct App {
    server: Server,
    store: Store,
    stop: CancellationToken,
    _guard: DropGuard,
}

impl App {
    /// The services, to be served on a listener.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The way to call the services within the process.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.server.in_process()
    }

    /// The store itself, for what operators do on its own machine.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Ends the work in the background and every stream that would never end by itself, so that connections can close.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

/// Opens the store that a configuration names.
pub async fn open(config: &Config, clock: Clock) -> Result<Store, Failure> {
    let missing = |field| Failure::Invalid { field, expected: "it must be configured".into() };
    let url = config.database.as_ref().ok_or_else(|| missing("database"))?;
    let pepper = config.pepper.as_ref().ok_or_else(|| missing("pepper"))?;
    let derive = |secret: &Secret| Pepper::derive(secret.expose().as_bytes());
    let peppers = Peppers { current: derive(pepper), second: config.second_pepper.as_ref().map(derive) };
    Store::open_with(url.expose(), config.database_options, clock, peppers).await
}

/// Opens the database, brings its schema up to date, and puts the services together.
pub async fn build(config: &Config, parts: Parts) -> Result<App, BuildError> {
    let Parts { revision_key, peers, metrics, readiness, clock } = parts;
    let store = open(config, clock).await?;
    store.alarms().register(&metrics);
    let stop = CancellationToken::new();
    let service = grpc::Service::new(store.clone(), revision_key, stop.clone());
    let server = grpc::server(service, peers, &metrics).await?;
    upkeep::start(&store, config, ageing::Announcer::new(&metrics), readiness, &stop);
    Ok(App { server, store, _guard: stop.clone().drop_guard(), stop })
}
