//! The whole pusher: one heartbeat, one who asks whether its database answers, and for each tenant a follower of the feed,
//! one who looks ahead in it, workers, and a reader of the catalogue.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::clock::Clock;
use domain::id::TenantId;
use proto::push::v1::push_service_server::PushServiceServer;
use runtime::admin::Readiness;
use runtime::grpc::{BuildError, MAX_MESSAGE_BYTES, Server, Transport};
use runtime::peer::PeerSecret;
use runtime::telemetry::Metrics;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalogue::Reader;
use crate::config::{Config, Pushing};
use crate::feed::{self, Follower, Known};
use crate::fluent::{Http, TlsError};
use crate::health;
use crate::metrics::Counts;
use crate::overtake::Overtaking;
use crate::peers::{Identity, Resolver};
use crate::service::Service;
use crate::store::Store;
use crate::tenants::{Tenant, Tenants};
use crate::worker::Worker;

/// What the pusher is put together from, besides its configuration.
#[derive(Debug)]
pub struct Parts {
    /// The way to identity-store.
    pub identity_store: Transport,
    /// The way to role-resolver.
    pub role_resolver: Transport,
    /// What proves that a caller is a part of Rolecall.
    pub peers: PeerSecret,
    /// Where things are counted.
    pub metrics: Metrics,
    /// Told whether the database answers.
    pub readiness: Readiness,
    /// Where the time comes from.
    pub clock: Clock,
}

/// The pusher could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its database can't be opened.
    #[error("the pusher's database can't be opened: {}", .0.of_opening())]
    Store(sql::Error),
    /// The database's address is none.
    #[error("the pusher's database can't be found")]
    Database(#[from] sql::InvalidUrl),
    /// TLS towards Fluent can't be set up.
    #[error("Fluent can't be called")]
    Tls(#[from] TlsError),
    /// The gRPC server can't be put together.
    #[error("the pusher's gRPC server can't be put together")]
    Server(#[from] BuildError),
    /// The folder of tenants can't be read.
    #[error("the folder of the tenants' Fluent settings can't be read")]
    Tenants(#[source] std::io::Error),
}

/// The pusher, ready to run.
#[derive(Debug)]
pub struct App {
    server: Server,
    store: Store,
    tenants: Tenants,
    identity: Identity,
    resolver: Resolver,
    counts: Counts,
    readiness: Readiness,
    clock: Clock,
    config: Pushing,
    follows_folder: bool,
}

/// Opens the tables and reads the folder of tenants. Nothing is asked of the other parts, or of Fluent, before
/// [`App::run`].
pub async fn build(config: &Config, parts: Parts) -> Result<App, StartError> {
    let Parts { identity_store, role_resolver, peers, metrics, readiness, clock } = parts;
    let url = config.database.as_ref().map_or("", |url| url.expose()).parse()?;
    let store = Store::open(&url, sql::Options::default(), clock.clone(), &config.instance()).await;
    let store = store.map_err(StartError::Store)?;
    store.take_back().await.map_err(StartError::Store)?;
    let tenants = Tenants::new(config.tenants.clone(), Http::new()?, clock.clone());
    let service = PushServiceServer::new(Service { store: store.clone(), tenants: tenants.clone() })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let server = Server::builder(peers, &metrics).service(service).descriptors(proto::DESCRIPTORS).build().await?;
    let app = App {
        server,
        store,
        tenants,
        identity: Identity::new(identity_store),
        resolver: Resolver::new(role_resolver),
        counts: Counts::new(&metrics),
        readiness,
        clock,
        config: config.pushing,
        follows_folder: config.tenants.is_some(),
    };
    app.reload().map_err(StartError::Tenants)?;
    Ok(app)
}

impl App {
    /// What answers `PushService`, on a listener and in the process.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The tenants: a program that has no folder puts them in here, at any time.
    #[must_use]
    pub fn tenants(&self) -> &Tenants {
        &self.tenants
    }

    /// Runs until `stop`, then finishes the accounts under way.
    pub async fn run(self, stop: CancellationToken) {
        let (sender, known) = watch::channel(Known::default());
        let tasks = TaskTracker::new();
        tasks.spawn(feed::listen(self.identity.clone(), sender, stop.clone()));
        tasks.spawn(health::watch(self.store.clone(), self.readiness.clone(), self.config.poll, stop.clone()));
        let mut running: BTreeMap<TenantId, (Arc<Tenant>, CancellationToken)> = BTreeMap::new();
        loop {
            self.keep_up(&mut running, &known, &tasks, &stop);
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.tenants.changed() => {}
                () = tokio::time::sleep(self.config.reload), if self.follows_folder => {
                    if let Err(error) = self.reload() {
                        tracing::error!(%error, "the folder of the tenants' Fluent settings can't be read");
                    }
                }
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    /// Stops what runs for tenants that are gone or changed, and starts those that are new.
    fn keep_up(
        &self,
        running: &mut BTreeMap<TenantId, (Arc<Tenant>, CancellationToken)>,
        known: &watch::Receiver<Known>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let now: BTreeMap<TenantId, Arc<Tenant>> =
            self.tenants.all().into_iter().map(|tenant| (tenant.id.clone(), tenant)).collect();
        running.retain(|id, (tenant, stop)| {
            let stays = now.get(id).is_some_and(|current| Arc::ptr_eq(current, tenant));
            if !stays {
                stop.cancel();
            }
            stays
        });
        for (id, tenant) in now {
            running.entry(id).or_insert_with(|| {
                let stop = stop.child_token();
                tasks.spawn(self.serve(Arc::clone(&tenant), known.clone(), stop.clone()));
                (tenant, stop)
            });
        }
    }

    /// Everything that runs for one tenant. A panic ends one task, is reported, and the task begins again: it holds
    /// nothing that is not in the tables.
    fn serve(
        &self,
        tenant: Arc<Tenant>,
        known: watch::Receiver<Known>,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        self.counts.know(tenant.id.as_str());
        let worker = Worker {
            store: self.store.clone(),
            identity: self.identity.clone(),
            resolver: self.resolver.clone(),
            clock: self.clock.clone(),
            config: self.config,
            counts: self.counts.clone(),
        };
        let follower =
            Follower { identity: self.identity.clone(), store: self.store.clone(), counts: self.counts.clone() };
        let overtaking = Overtaking { identity: self.identity.clone(), store: self.store.clone() };
        let reader = Reader {
            store: self.store.clone(),
            identity: self.identity.clone(),
            clock: self.clock.clone(),
            config: self.config,
            counts: self.counts.clone(),
        };
        async move {
            while !stop.is_cancelled() {
                let round = stop.child_token();
                let mut tasks = JoinSet::new();
                tasks.spawn(worker.clone().run(Arc::clone(&tenant), round.clone()));
                tasks.spawn(worker.clone().report_all(Arc::clone(&tenant), round.clone()));
                tasks.spawn(overtaking.clone().run(Arc::clone(&tenant), known.clone(), round.clone()));
                tasks.spawn(follower.clone().run(Arc::clone(&tenant), known.clone(), round.clone()));
                tasks.spawn(reader.clone().run(Arc::clone(&tenant), known.clone(), round.clone()));
                while let Some(ended) = tasks.join_next().await {
                    if ended.is_err() {
                        tracing::error!(tenant = %tenant.id, "a task of the pusher panicked; all of the tenant's begin again");
                    }
                    round.cancel();
                }
            }
        }
    }

    fn reload(&self) -> std::io::Result<()> {
        for (tenant, errors) in self.tenants.reload()? {
            tracing::error!(%tenant, %errors, "a tenant's Fluent settings are wrong; it stays as it was");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
