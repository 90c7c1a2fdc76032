//! The section `identity_store` of the configuration.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use runtime::config::{Problems, Secret, Validate};
use runtime::http_server::HttpLimits;
use runtime::tls::ServerTls;
use serde::Deserialize;

use crate::store::{SILENCE, Store};

/// The fewest bytes the pepper may have.
const PEPPER: usize = 32;

/// How identity-store runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the other parts are answered.
    pub listen: SocketAddr,
    /// The listener's certificate; without one it speaks plaintext.
    pub tls: Option<ServerTls>,
    /// What one connection may cost.
    pub limits: HttpLimits,
    /// The database: `sqlite:PATH` or `postgres://USER@HOST/DATABASE`, as a text or, with a password, as a secret.
    pub database: Option<DatabaseUrl>,
    /// How many connections there are to it, and how long it is waited for. Nothing that an operator sets: tests wait longer,
    /// for machines that stand still.
    #[serde(skip)]
    pub database_options: sql::Options,
    /// The key under which secrets of bearer tokens are hashed. Exchanged for another without [`Self::second_pepper`], it
    /// ends every token.
    pub pepper: Option<Secret>,
    /// A second key, whose tokens are good too: the one before, or the one to come while replicas are restarted one by
    /// one. A token kept under it is kept under `pepper` from its next use on.
    pub second_pepper: Option<Secret>,
    /// How often the database is asked what other replicas committed.
    #[serde(with = "humantime_serde")]
    pub poll: Duration,
    /// How often it is looked for what is too old to be kept.
    #[serde(with = "humantime_serde")]
    pub upkeep: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 9091).into(),
            tls: None,
            limits: HttpLimits::peers(),
            database: None,
            database_options: sql::Options::default(),
            pepper: None,
            second_pepper: None,
            poll: Duration::from_millis(250),
            upkeep: Duration::from_mins(10),
        }
    }
}

impl Validate for Config {
    fn validate(&self, problems: &mut Problems) {
        problems.require(
            self.database.as_ref().is_some_and(|url| Store::knows(url.expose())),
            "database",
            "it is missing or names no database",
            "sqlite:PATH or postgres://USER@HOST/DATABASE",
        );
        let long_enough = |pepper: &Secret| pepper.expose().len() >= PEPPER;
        let right = "a secret, as `openssl rand -hex 32` prints one";
        let (first, second) = (self.pepper.as_ref(), self.second_pepper.as_ref());
        problems.require(first.is_some_and(long_enough), "pepper", "it is missing or shorter than 32 bytes", right);
        problems.require(second.is_none_or(long_enough), "second_pepper", "it is shorter than 32 bytes", right);
        problems.section("limits", &self.limits);
        for (key, time) in [("poll", self.poll), ("upkeep", self.upkeep)] {
            problems.require(!time.is_zero(), key, "it would never rest", "a duration such as \"250ms\"");
        }
        problems.require(
            self.poll <= SILENCE / 2,
            "poll",
            "what consumers are told would be too old",
            "at most 5 seconds, such as \"250ms\"",
        );
    }
}

/// Where the database is. It may hold a password, so it does not print.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum DatabaseUrl {
    /// As it stands.
    Plain(String),
    /// In a file or a variable of the environment.
    Kept(Secret),
}

impl DatabaseUrl {
    /// The URL itself: for the one place that opens it.
    #[must_use]
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(url) => url,
            Self::Kept(secret) => secret.expose(),
        }
    }
}

impl From<&str> for DatabaseUrl {
    fn from(url: &str) -> Self {
        Self::Plain(url.to_owned())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}
