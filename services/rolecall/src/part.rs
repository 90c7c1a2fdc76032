//! One part in a process of its own, speaking gRPC to the others.

use std::path::Path;

use anyhow::{Context as _, Result};
use domain::clock::Clock;
use domain::revision::RevisionKey;
use runtime::grpc::{Transport, TransportConfig};
use runtime::peer::PeerSecret;
use serde::Serialize;

use crate::cli::RunArgs;
use crate::config::{self, Checked, Config};
use crate::process::{Process, bind};
use crate::ready;

/// What a part's ready file says.
#[derive(Serialize)]
struct Addresses {
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<String>,
}

impl Addresses {
    fn write(path: Option<&Path>, process: &Process, listen: Option<std::net::SocketAddr>) -> Result<()> {
        let admin = process.admin().map(|address| address.to_string());
        ready::write(path, &Self { listen: listen.map(|address| address.to_string()), admin })
    }
}

/// The configuration, checked for one part; nothing if checking it was all that was asked.
fn read<C: Checked>(run: &RunArgs) -> Result<Option<Config>> {
    let config = C::read(run.config.as_deref())?;
    if run.check_config {
        println!("the configuration is sound");
        return Ok(None);
    }
    Ok(Some(config))
}

fn peers(config: &Config) -> Result<PeerSecret> {
    config.peers.secrets().context("the parts' secret is missing")
}

fn connect(to: &TransportConfig, config: &Config, process: &Process) -> Result<Transport> {
    Ok(Transport::connect(to, &peers(config)?, &process.metrics)?)
}

/// What revision tokens are made and checked with.
pub(crate) fn revision_key(config: &Config) -> Result<RevisionKey> {
    let secret = config.revisions.secret.as_ref().context("the revisions' secret is missing")?;
    Ok(RevisionKey::derive(secret.expose().as_bytes()))
}

pub(crate) async fn gateway(run: RunArgs) -> Result<()> {
    let Some(config) = read::<config::Gateway>(&run)? else { return Ok(()) };
    let process = Process::start("gateway", &config)?;
    let listener = bind(config.gateway.listen).await?;
    let address = listener.local_addr()?;
    let parts = gateway::Parts {
        identity_store: connect(&config.gateway.identity_store, &config, &process)?,
        role_resolver: connect(&config.gateway.role_resolver, &config, &process)?,
        metrics: process.metrics.clone(),
        fixed_token: None,
        clock: Clock::System,
    };
    let app = gateway::build(&config.gateway, parts);
    let token = process.shutdown.token();
    process.shutdown.spawn(async move {
        if let Err(error) = app.run(listener, token).await {
            tracing::error!(%error, "the gateway can't serve");
        }
    });
    let announced = Addresses::write(run.ready_file.as_deref(), &process, Some(address));
    process.until_stopped(announced).await
}

pub(crate) async fn role_resolver(run: RunArgs) -> Result<()> {
    let Some(config) = read::<config::RoleResolver>(&run)? else { return Ok(()) };
    let process = Process::start("role-resolver", &config)?;
    let part = &config.role_resolver;
    let listener = bind(part.listen).await?;
    let address = listener.local_addr()?;
    let parts = role_resolver::Parts {
        identity_store: connect(&part.identity_store, &config, &process)?,
        revision_key: revision_key(&config)?,
        peers: peers(&config)?,
        metrics: process.metrics.clone(),
        readiness: process.readiness.clone(),
        clock: Clock::System,
        fixed_token: None,
        stop: process.shutdown.token(),
    };
    let server = role_resolver::build(part, parts).await?;
    process.serve_grpc(listener, &server, part.limits.clone(), part.tls.as_ref())?;
    let announced = Addresses::write(run.ready_file.as_deref(), &process, Some(address));
    process.until_stopped(announced).await
}

pub(crate) async fn fluent_pusher(run: RunArgs) -> Result<()> {
    let Some(config) = read::<config::FluentPusher>(&run)? else { return Ok(()) };
    let process = Process::start("fluent-pusher", &config)?;
    let part = &config.fluent_pusher;
    let listener = bind(part.listen).await?;
    let address = listener.local_addr()?;
    let parts = fluent_pusher::Parts {
        identity_store: connect(&part.identity_store, &config, &process)?,
        role_resolver: connect(&part.role_resolver, &config, &process)?,
        peers: peers(&config)?,
        metrics: process.metrics.clone(),
        readiness: process.readiness.clone(),
        clock: Clock::System,
    };
    let app = fluent_pusher::build(part, parts).await?;
    process.serve_grpc(listener, app.server(), part.limits.clone(), part.tls.as_ref())?;
    process.shutdown.spawn(app.run(process.shutdown.token()));
    let announced = Addresses::write(run.ready_file.as_deref(), &process, Some(address));
    process.until_stopped(announced).await
}

pub(crate) async fn identity_store(run: RunArgs) -> Result<()> {
    let Some(config) = read::<config::IdentityStore>(&run)? else { return Ok(()) };
    let process = Process::start("identity-store", &config)?;
    let part = &config.identity_store;
    let listener = bind(part.listen).await?;
    let address = listener.local_addr()?;
    let parts = identity_store::Parts {
        revision_key: revision_key(&config)?,
        peers: peers(&config)?,
        metrics: process.metrics.clone(),
        readiness: process.readiness.clone(),
        clock: Clock::System,
    };
    let app = identity_store::build(part, parts).await?;
    process.serve_grpc(listener, app.server(), part.limits.clone(), part.tls.as_ref())?;
    process.run_store(app);
    let announced = Addresses::write(run.ready_file.as_deref(), &process, Some(address));
    process.until_stopped(announced).await
}

/// Begins a new epoch, offline.
pub(crate) async fn restored(run: RunArgs) -> Result<()> {
    let Some(config) = read::<config::IdentityStore>(&run)? else { return Ok(()) };
    identity_store::open(&config.identity_store, Clock::System).await?.renew_epoch().await?;
    println!("a new epoch has begun; tokens and positions of the lost one are refused from now on");
    Ok(())
}
