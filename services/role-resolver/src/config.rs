//! What an operator may set of this service.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use runtime::config::{Problems, Validate};
use runtime::grpc::TransportConfig;
use runtime::http_server::HttpLimits;
use runtime::tls::ServerTls;
use serde::Deserialize;

/// The longest that a revoked token may go on working here.
const LONGEST_TTL: Duration = Duration::from_secs(5);

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
        }
    }
}

impl Validate for Config {
    fn validate(&self, problems: &mut Problems) {
        problems.section("limits", &self.limits);
        problems.section("identity_store", &self.identity_store);
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
    }
}
