//! The section `fluent_pusher` of the configuration.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use runtime::backoff::Backoff;
use runtime::config::{Problems, Secret, Validate};
use runtime::grpc::TransportConfig;
use runtime::http_server::HttpLimits;
use runtime::tls::ServerTls;
use serde::Deserialize;

/// How the pusher runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where operators' calls are answered (`PushService`).
    pub listen: SocketAddr,
    /// The listener's certificate; without one it speaks plaintext.
    pub tls: Option<ServerTls>,
    /// What one connection may cost.
    pub limits: HttpLimits,
    /// The database of its own tables: `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.
    pub database: Option<Secret>,
    /// Where identity-store is.
    pub identity_store: TransportConfig,
    /// Where role-resolver is.
    pub role_resolver: TransportConfig,
    /// The folder of the tenants' Fluent addresses and secrets, one `<tenant>.toml` each.
    pub tenants: Option<PathBuf>,
    /// The name of this instance among its replicas, the same after a restart: what it had under way is then taken up
    /// at once. The machine's name if it is left out.
    pub instance: Option<String>,
    /// How it works.
    pub pushing: Pushing,
}

impl Config {
    /// The name of this instance.
    #[must_use]
    pub fn instance(&self) -> String {
        let machine = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        self.instance.clone().or_else(machine).map_or_else(|| "one".to_owned(), |name| name.trim().to_owned())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 9093).into(),
            tls: None,
            limits: HttpLimits::peers(),
            database: None,
            identity_store: TransportConfig::default(),
            role_resolver: TransportConfig::default(),
            tenants: None,
            instance: None,
            pushing: Pushing::default(),
        }
    }
}

/// Numbers and times of the work itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pushing {
    /// How many accounts of one tenant are worked on at a time.
    pub workers: usize,
    /// How often the tables are looked at when nothing rings.
    #[serde(with = "humantime_serde")]
    pub poll: Duration,
    /// How long one account may take.
    #[serde(with = "humantime_serde")]
    pub step: Duration,
    /// How often the folder of tenants is read again.
    #[serde(with = "humantime_serde")]
    pub reload: Duration,
    /// The waits after failures.
    pub backoff: Backoff,
    /// How often the catalogue is read when nobody waits for it.
    #[serde(with = "humantime_serde")]
    pub catalogue_refresh: Duration,
    /// The shortest time between the beginnings of two reads of the catalogue.
    #[serde(with = "humantime_serde")]
    pub catalogue_min_interval: Duration,
}

impl Default for Pushing {
    fn default() -> Self {
        Self {
            workers: 4,
            poll: Duration::from_secs(1),
            step: Duration::from_mins(1),
            reload: Duration::from_secs(5),
            backoff: Backoff { first: Duration::from_millis(500), max: Duration::from_mins(10) },
            catalogue_refresh: Duration::from_mins(5),
            catalogue_min_interval: Duration::from_secs(10),
        }
    }
}

impl Validate for Config {
    fn validate(&self, problems: &mut Problems) {
        let known = self.database.as_ref().is_some_and(|url| url.expose().parse::<sql::Url>().is_ok());
        problems.require(known, "database", "it is missing or names no database", "sqlite:PATH or postgres://…");
        if let Some(tls) = &self.tls {
            problems.section("tls", tls);
        }
        problems.section("limits", &self.limits);
        problems.section("identity_store", &self.identity_store);
        problems.section("role_resolver", &self.role_resolver);
        problems.require(
            self.tenants.is_some(),
            "tenants",
            "it is missing",
            "the folder of the tenants' Fluent settings",
        );
        problems.section("pushing", &self.pushing);
    }
}

impl Validate for Pushing {
    fn validate(&self, problems: &mut Problems) {
        problems.require((1..=64).contains(&self.workers), "workers", "it is out of range", "1 to 64");
        problems.section("backoff", &self.backoff);
        for (key, time) in [
            ("poll", self.poll),
            ("step", self.step),
            ("reload", self.reload),
            ("catalogue_refresh", self.catalogue_refresh),
            ("catalogue_min_interval", self.catalogue_min_interval),
        ] {
            problems.require(!time.is_zero(), key, "it is no time at all", "a duration such as \"10s\"");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_at_once_and_none_repeats_a_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let url = folder.path().join("url");
        std::fs::write(&url, "mysql://me:canary@db").unwrap();
        let text = format!(
            "database = {{ file = '{}' }}\n[limits]\nconnections = 0\n[pushing]\nworkers = 0\npoll = '0s'\n",
            url.display()
        );
        std::fs::write(&path, text).unwrap();
        let errors = runtime::config::load::<Config>(Some(&path), "", []).unwrap_err();
        let keys: Vec<_> = errors.0.iter().map(|problem| problem.key.as_str()).collect();
        let expected = [
            "database",
            "limits.connections",
            "identity_store.uri",
            "role_resolver.uri",
            "tenants",
            "pushing.workers",
            "pushing.poll",
        ];
        assert_eq!(keys, expected);
        assert!(!errors.to_string().contains("canary"));
    }
}
