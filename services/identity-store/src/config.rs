//! The section `identity_store` of the configuration.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use runtime::config::{Problems, Secret, Validate};
use runtime::http_server::HttpLimits;
use runtime::tls::ServerTls;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::store::SILENCE;

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
        match self.database.as_ref().map(|url| (url, url.expose().parse::<sql::Url>())) {
            Some((DatabaseUrl::Plain(_), Ok(url))) => problems.require(
                !url.has_password(),
                "database",
                "a password stands in the configuration itself",
                "a secret that holds the whole URL: { file = \"/run/secrets/x\" } or { env = \"NAME\" }",
            ),
            Some((DatabaseUrl::Kept(_), Ok(_))) => {}
            Some((_, Err(_))) | None => problems.add(
                "database",
                "it is missing or names no database",
                "sqlite:PATH or postgres://USER@HOST/DATABASE",
            ),
        }
        let long_enough = |pepper: &Secret| pepper.expose().len() >= PEPPER;
        let right = "a secret, as `openssl rand -hex 32` prints one";
        let (first, second) = (self.pepper.as_ref(), self.second_pepper.as_ref());
        problems.require(first.is_some_and(long_enough), "pepper", "it is missing or shorter than 32 bytes", right);
        problems.require(second.is_none_or(long_enough), "second_pepper", "it is shorter than 32 bytes", right);
        if let Some(tls) = &self.tls {
            problems.section("tls", tls);
        }
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
#[derive(Clone)]
pub enum DatabaseUrl {
    /// As it stands, without a password.
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

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = DatabaseUrl;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the URL of a database, or the secret that holds it")
            }

            fn visit_str<E: serde::de::Error>(self, url: &str) -> Result<DatabaseUrl, E> {
                Ok(DatabaseUrl::Plain(url.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, place: A) -> Result<DatabaseUrl, A::Error> {
                Secret::deserialize(MapAccessDeserializer::new(place)).map(DatabaseUrl::Kept)
            }
        }

        deserializer.deserialize_any(Either)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        database: DatabaseUrl,
    }

    impl Validate for File {
        fn validate(&self, problems: &mut Problems) {
            let config = Config { database: Some(self.database.clone()), ..Config::default() };
            let mut found = Problems::default();
            config.validate(&mut found);
            for problem in found.into_iter().filter(|problem| problem.key == "database") {
                problems.add(problem.key, problem.wrong, problem.right);
            }
        }
    }

    #[test]
    fn a_database_stands_there_or_in_a_secret_and_with_a_password_only_in_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let (path, kept) = (folder.path().join("config.toml"), folder.path().join("url"));
        std::fs::write(&kept, "postgres://me:canary@db/identity\n").unwrap();
        let load = |text: String| {
            std::fs::write(&path, text).unwrap();
            runtime::config::load::<File>(Some(&path), "", []).map(|file| file.database)
        };
        for plain in ["sqlite:identity.db", "postgres://me@db/identity"] {
            assert_eq!(load(format!("database = '{plain}'")).unwrap().expose(), plain);
        }
        let url = load(format!("database = {{ file = '{}' }}", kept.display())).unwrap();
        assert_eq!(url.expose(), "postgres://me:canary@db/identity");
        for (wrong, told) in [
            ("'postgres://me:canary@db/identity'", "a password stands in the configuration itself"),
            ("'postgres://me@db/identity?password=canary'", "a password stands in the configuration itself"),
            ("{ value = 'postgres://me:canary@db/identity' }", "the secret stands in the configuration itself"),
            ("{ file = '/nowhere/url' }", "/nowhere/url cannot be read"),
            ("'mysql://me:canary@db'", "names no database"),
            ("7", "wrong type"),
        ] {
            let errors = load(format!("database = {wrong}")).unwrap_err();
            assert!(errors.0.len() == 1 && errors.0[0].key == "database", "{errors}");
            assert!(errors.to_string().contains(told) && !errors.to_string().contains("canary"), "{errors}");
        }
    }
}
