//! role-resolver: turns labels into grants, and answers for them.
//!
//! [`build`] puts the service together over a [`Transport`] to identity-store; what it returns is served on a listener
//! and called within the process alike. Read in this order: `service` (the methods; `once` has one of them answered from
//! bytes), `authorise` (who may ask), `consistency` (how fresh), `resolver` (the answer), `compute` (what follows from a
//! ground), `cache` (what is kept of answers, and why it is never stale), `explanation` (why), `holders` (who holds a
//! grant), `watch` (whose set changes), `preview` (whose would), `offered` (which labels there are to pick), `ground` (what
//! labels are matched against).

mod authorise;
mod cache;
mod compute;
mod config;
mod consistency;
mod convert;
mod explanation;
mod ground;
mod holders;
mod offered;
mod once;
mod peers;
mod preview;
mod resolver;
mod service;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use domain::clock::Clock;
use domain::revision::RevisionKey;
use domain::token::FixedToken;
use proto::roles::v1::label_service_server::LabelServiceServer;
use runtime::admin::Readiness;
use runtime::grpc::{BuildError, MAX_MESSAGE_BYTES, Server, Transport};
use runtime::peer::PeerSecret;
use runtime::telemetry::Metrics;
use tokio_util::sync::CancellationToken;

pub use config::{CacheConfig, Config, RedisConfig};

use authorise::Authoriser;
use cache::{Counts, Near, Shared, Tails};
use once::Roles;
use peers::Store;
use resolver::{Layers, Resolver};
use service::Service;

/// What the service is put together from, besides its configuration.
#[derive(Debug)]
pub struct Parts {
    /// The way to identity-store.
    pub identity_store: Transport,
    /// What revision tokens are made and checked with; the same in every part.
    pub revision_key: RevisionKey,
    /// What proves that a caller is a part of Rolecall.
    pub peers: PeerSecret,
    /// Where calls are counted.
    pub metrics: Metrics,
    /// Where it is told how the service stands.
    pub readiness: Readiness,
    /// Where the time comes from.
    pub clock: Clock,
    /// A token that is good without being issued: for development alone.
    pub fixed_token: Option<FixedToken>,
    /// Ends, once it is cancelled, what has no end of its own, so that connections can close.
    pub stop: CancellationToken,
}

/// Puts the service together. Nothing is asked of identity-store before the first call.
pub async fn build(config: &Config, parts: Parts) -> Result<Server, BuildError> {
    let Parts { identity_store, revision_key, peers, metrics, readiness, clock, fixed_token, stop } = parts;
    let store = Store::new(identity_store);
    let (counts, cache_key) = (Counts::new(&metrics), config.redis.key());
    #[cfg(test)]
    let cache_key = {
        let mut key = cache_key;
        key.without = config.cache.without;
        key
    };
    let layers = Layers {
        tails: Tails::new(store.clone(), revision_key.clone(), config.cache.following(), counts.clone()),
        near: Near::new(config.cache.near_bytes, config.cache.ttl),
        shared: Shared::new(&config.redis, cache_key.clone(), config.cache.ttl, counts.clone(), readiness),
        lease: config.cache.lease,
        cache_key,
        counts,
    };
    let service = Service {
        authoriser: Arc::new(Authoriser::new(store.clone(), clock.clone(), config, fixed_token)),
        resolver: Arc::new(Resolver::new(store, revision_key, layers)),
        watches: config.watches,
        previews: Arc::default(),
        stop,
        clock,
    };
    let roles = Roles::new(service.clone());
    let labels = LabelServiceServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    Server::builder(peers, &metrics).service(roles).service(labels).descriptors(proto::DESCRIPTORS).build().await
}
