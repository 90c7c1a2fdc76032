//! The configuration file: a section for each part, and what all parts share. One file may serve a whole family, or each
//! part may have its own; a part checks the sections it uses and ignores the others, which must only be well-formed.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use runtime::config::{ConfigErrors, Problems, Secret, Validate, load};
use runtime::peer::PeerAuth;
use runtime::telemetry::TelemetryConfig;
use serde::Deserialize;

/// What variables of the environment begin with that are configuration.
const PREFIX: &str = "ROLECALL_";

/// Variables that begin so but belong to commands and tests.
const NOT_CONFIGURATION: [&str; 9] = [
    "ROLECALL_BIN",
    "ROLECALL_CONFIG",
    "ROLECALL_FLUENT_ACCOUNT",
    "ROLECALL_FLUENT_CLIENT_SECRET",
    "ROLECALL_FLUENT_PASSWORD",
    "ROLECALL_FLUENT_USERNAME",
    "ROLECALL_PEER_SECRET_FILE",
    "ROLECALL_STORE",
    "ROLECALL_TEST_",
];

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// How the process runs.
    pub(crate) process: Process,
    /// Logs and traces.
    pub(crate) telemetry: TelemetryConfig,
    /// How parts know each other.
    pub(crate) peers: PeerAuth,
    /// How revisions are authenticated.
    pub(crate) revisions: Revisions,
    /// The gateway.
    pub(crate) gateway: gateway::Config,
    /// The identity-store.
    pub(crate) identity_store: identity_store::Config,
    /// The role-resolver.
    pub(crate) role_resolver: role_resolver::Config,
    /// The fluent-pusher.
    pub(crate) fluent_pusher: fluent_pusher::Config,
}

/// How revisions are authenticated on their way through callers' hands.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Revisions {
    /// The secret that revision tokens are made and checked with; the same in identity-store and role-resolver.
    pub(crate) secret: Option<Secret>,
}

impl Validate for Revisions {
    fn validate(&self, problems: &mut Problems) {
        problems.require(
            self.secret.as_ref().is_some_and(|secret| secret.expose().len() >= 32),
            "secret",
            "it is missing or shorter than 32 bytes",
            "a secret, as `openssl rand -hex 32` prints one",
        );
    }
}

/// How a process runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Process {
    /// Where metrics, liveness and readiness are answered; nowhere if absent.
    pub(crate) admin_listen: Option<SocketAddr>,
    /// What it is run for.
    pub(crate) mode: Mode,
    /// How long requests under way may take after a stop was asked for.
    #[serde(with = "humantime_serde")]
    pub(crate) drain: Duration,
}

/// What a process is run for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Real people's access.
    #[default]
    Production,
    /// Development, where HTTP Basic may be accepted.
    Development,
}

impl Default for Process {
    fn default() -> Self {
        Self { admin_listen: None, mode: Mode::Production, drain: Duration::from_secs(30) }
    }
}

/// A configuration in which the sections one part uses were checked.
pub(crate) trait Checked: Sized {
    /// Reads and checks it.
    fn read(path: Option<&Path>) -> Result<Config, ConfigErrors>;
}

/// Each part's view of the file.
macro_rules! part {
    ($(#[$doc:meta])* $name:ident, |$config:ident, $problems:ident| $check:expr) => {
        $(#[$doc])*
        #[derive(Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(Config);

        impl Validate for $name {
            fn validate(&self, $problems: &mut Problems) {
                let $config = &self.0;
                $problems.section("telemetry", &$config.telemetry);
                $check;
            }
        }

        impl Checked for $name {
            fn read(path: Option<&Path>) -> Result<Config, ConfigErrors> {
                load::<Self>(path, PREFIX, environment()).map(|part| part.0)
            }
        }
    };
}

part!(
    /// What the gateway needs.
    Gateway,
    |config, problems| {
        problems.section("gateway", &config.gateway);
        problems.require(
            !config.gateway.basic || config.process.mode == Mode::Development,
            "gateway.basic",
            "HTTP Basic is for development",
            "false, or process.mode = \"development\"",
        );
        problems.within("peers", |problems| config.peers.validate(None, true, problems));
    }
);
part!(
    /// What the identity-store needs.
    IdentityStore,
    |config, problems| {
        let part = &config.identity_store;
        problems.section("identity_store", part);
        problems.section("revisions", &config.revisions);
        problems.within("peers", |problems| config.peers.validate(Some(part.listen), part.tls.is_some(), problems));
    }
);
part!(
    /// What the role-resolver needs.
    RoleResolver,
    |config, problems| {
        let part = &config.role_resolver;
        problems.section("role_resolver", part);
        problems.section("revisions", &config.revisions);
        problems.within("peers", |problems| config.peers.validate(Some(part.listen), part.tls.is_some(), problems));
    }
);
part!(
    /// What the fluent-pusher needs.
    FluentPusher,
    |config, problems| {
        let part = &config.fluent_pusher;
        problems.section("fluent_pusher", part);
        problems.within("peers", |problems| config.peers.validate(Some(part.listen), part.tls.is_some(), problems));
    }
);
part!(
    /// What `rolecall dev` takes from the environment: limits and times, all optional.
    #[cfg_attr(not(feature = "dev"), expect(dead_code, reason = "`rolecall dev` is not built in"))]
    Dev,
    |config, problems| problems.section("gateway.limits", &config.gateway.limits)
);

fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars().filter(|(name, _)| !NOT_CONFIGURATION.iter().any(|prefix| name.starts_with(prefix)))
}

#[cfg(test)]
mod tests;
