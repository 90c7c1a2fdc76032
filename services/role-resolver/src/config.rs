//! What an operator may set of this service.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use runtime::config::{Problems, Secret, Validate};
use runtime::grpc::TransportConfig;
use runtime::http_server::HttpLimits;
use runtime::tls::ServerTls;
use serde::Deserialize;

#[cfg(test)]
use crate::cache::Defence;
use crate::cache::{COMMAND, CacheKey, Following, LEASE};

/// The longest that a revoked token may go on working here.
const LONGEST_TTL: Duration = Duration::from_secs(5);
/// The longest that answers may go on without a word from identity-store.
const LONGEST_UNCONFIRMED: Duration = Duration::from_mins(1);

/// The section `role_resolver`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where gRPC is answered, for the other parts and for internal systems.
    pub listen: SocketAddr,
    /// The listener's certificate; without one it speaks plaintext.
    pub tls: Option<ServerTls>,
    /// What one connection may cost.
    pub limits: HttpLimits,
    /// Where identity-store is.
    pub identity_store: TransportConfig,
    /// How long a bearer token that was found good is believed before it is checked again; at most 5 s.
    #[serde(with = "humantime_serde")]
    pub token_ttl: Duration,
    /// How many bearer tokens are remembered as good.
    pub tokens_kept: usize,
    /// How many watches of one tenant this process answers at a time.
    pub watches: usize,
    /// What is kept in this process.
    pub cache: CacheConfig,
    /// What is kept in Redis, for all replicas.
    pub redis: RedisConfig,
}

/// What is kept in the process. None of it bears on whether an answer is right.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// How much memory kept sets may take, in bytes.
    pub near_bytes: u64,
    /// How long a set is kept at most, here and in Redis.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// How long the position this process has followed the feed to counts as the head after it was confirmed: how old an
    /// answer to `minimize_latency` can be. Zero has the store asked each time.
    #[serde(with = "humantime_serde")]
    pub confirmed_within: Duration,
    /// How many changed users and groups are remembered of each tenant.
    pub stamps: usize,
    /// How long one who needs what another asks for waits for it. Nothing that an operator sets: tests wait longer, for
    /// machines that stand still.
    #[serde(skip)]
    pub lease: Duration,
    /// The defence that a test turns off.
    #[cfg(test)]
    #[serde(skip)]
    pub(crate) without: Option<Defence>,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            near_bytes: 64 << 20,
            ttl: Duration::from_hours(1),
            confirmed_within: Duration::from_secs(5),
            stamps: 200_000,
            lease: LEASE,
            #[cfg(test)]
            without: None,
        }
    }
}

impl CacheConfig {
    pub(crate) fn following(&self) -> Following {
        Following {
            bound: self.confirmed_within,
            stamps: self.stamps,
            #[cfg(test)]
            without: self.without,
        }
    }
}

impl Validate for CacheConfig {
    fn validate(&self, problems: &mut Problems) {
        problems.require(!self.ttl.is_zero(), "ttl", "nothing would be kept", "a duration such as \"1h\"");
        problems.require(
            self.confirmed_within <= LONGEST_UNCONFIRMED,
            "confirmed_within",
            "revoked roles would be answered for too long while identity-store is silent",
            "at most \"1m\"",
        );
    }
}

/// The shared cache; there is none without a `url`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// Where it is: a secret that holds `redis://…`, or `rediss://…` with TLS.
    pub url: Option<Secret>,
    /// What entries are authenticated with; the same in all replicas. Redis never sees it.
    pub secret: Option<Secret>,
    /// How long a command may take. Nothing that an operator sets: tests wait longer, for machines that stand still.
    #[serde(skip)]
    pub command: Duration,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self { url: None, secret: None, command: COMMAND }
    }
}

impl RedisConfig {
    /// The client; `None` where nothing is configured.
    pub(crate) fn client(&self) -> Option<redis::Client> {
        redis::Client::open(self.url.as_ref()?.expose()).ok()
    }

    /// The key of all that is kept; without a secret, one of this process alone.
    pub(crate) fn key(&self) -> CacheKey {
        match &self.secret {
            Some(secret) => CacheKey::derive(secret.expose().as_bytes()),
            None => CacheKey::derive(&rand::random::<[u8; 32]>()),
        }
    }
}

impl Validate for RedisConfig {
    fn validate(&self, problems: &mut Problems) {
        let Some(url) = &self.url else { return };
        problems.require(
            redis::Client::open(url.expose()).is_ok(),
            "url",
            "it is not the address of a Redis server",
            "a secret such as \"redis://:PASSWORD@redis:6379/\"",
        );
        problems.require(
            self.secret.as_ref().is_some_and(|secret| secret.expose().len() >= 32),
            "secret",
            "it is missing or shorter than 32 bytes",
            "a secret, as `openssl rand -hex 32` prints one",
        );
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 9092).into(),
            tls: None,
            limits: HttpLimits::default(),
            identity_store: TransportConfig::default(),
            token_ttl: LONGEST_TTL,
            tokens_kept: 10_000,
            watches: 32,
            cache: CacheConfig::default(),
            redis: RedisConfig::default(),
        }
    }
}

impl Validate for Config {
    fn validate(&self, problems: &mut Problems) {
        if let Some(tls) = &self.tls {
            problems.section("tls", tls);
        }
        problems.section("limits", &self.limits);
        problems.section("identity_store", &self.identity_store);
        problems.section("cache", &self.cache);
        problems.section("redis", &self.redis);
        problems.require(
            self.token_ttl <= LONGEST_TTL,
            "token_ttl",
            "a revoked token would work for too long",
            "at most \"5s\"",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runtime::config::{Problems, Validate as _};

    use super::Config;

    fn mistakes(config: &Config) -> Vec<String> {
        let mut problems = Problems::default();
        config.validate(&mut problems);
        problems.into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn everything_that_is_missing_or_wrong_is_named() {
        let mut config = Config { token_ttl: Duration::from_secs(6), ..Config::default() };
        assert_eq!(mistakes(&config), ["identity_store.uri", "token_ttl"]);
        config.identity_store.uri = "http://identity-store:9090".to_owned();
        config.token_ttl = Duration::from_secs(5);
        assert!(mistakes(&config).is_empty());
        config.cache.ttl = Duration::ZERO;
        config.cache.confirmed_within = Duration::from_mins(2);
        config.redis.url = Some("localhost".into());
        config.redis.secret = Some("short".into());
        assert_eq!(mistakes(&config), ["cache.ttl", "cache.confirmed_within", "redis.url", "redis.secret"]);
        config.cache = super::CacheConfig::default();
        config.redis.url = Some("rediss://:password@redis:6379/".into());
        config.redis.secret = Some("0123456789abcdef0123456789abcdef".into());
        assert!(mistakes(&config).is_empty());
        assert!(config.redis.client().is_some());
    }
}
