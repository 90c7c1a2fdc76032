//! The section `gateway` of the configuration: where it listens and what one client may use.

use std::net::SocketAddr;
use std::time::Duration;

use runtime::config::{Problems, Validate};
use runtime::grpc::TransportConfig;
use runtime::http_server::HttpLimits;
use runtime::peer::Plaintext;
use runtime::tls::ServerTls;
use serde::Deserialize;

/// How the SCIM face is served.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address identity providers connect to.
    pub listen: SocketAddr,
    /// The URL under which identity providers know this gateway, without `/scim/v2`, for the locations in answers. Empty
    /// means whatever host the request names.
    pub public_url: String,
    /// The certificate to serve; without one a proxy in front must encrypt.
    pub tls: Option<ServerTls>,
    /// Whether the face may be reached from beyond this machine without TLS, because something in front encrypts.
    pub plaintext: Plaintext,
    /// Whether HTTP Basic is accepted, for tenants that are marked as development: on this machine alone.
    pub basic: bool,
    /// Short-lived tokens.
    pub oauth: OAuth,
    /// Where identity-store is.
    pub identity_store: TransportConfig,
    /// Where role-resolver is.
    pub role_resolver: TransportConfig,
    /// What one request and one tenant may use.
    pub limits: Limits,
    /// What connections may use.
    pub http: HttpLimits,
}

/// Short-lived tokens by OAuth 2.0 client credentials.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OAuth {
    /// How long one lives.
    #[serde(with = "humantime_serde")]
    pub access_token_lifetime: Duration,
}

impl Default for OAuth {
    fn default() -> Self {
        Self { access_token_lifetime: Duration::from_hours(1) }
    }
}

/// What one request and one tenant may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The largest body of a request about users, in bytes.
    pub user_body: usize,
    /// The largest body of a request about groups, in bytes.
    pub group_body: usize,
    /// The largest body of a bulk request, in bytes.
    pub bulk_body: usize,
    /// How long a whole request may take, its body included.
    #[serde(with = "humantime_serde")]
    pub request_time: Duration,
    /// How long a request that names something Fluent may have by now waits for a newer read of the catalogue.
    #[serde(with = "humantime_serde")]
    pub catalogue_wait: Duration,
    /// How long an answer about a token or a tenant's settings is used again.
    #[serde(with = "humantime_serde")]
    pub cache_time: Duration,
    /// Reads of one tenant in a second; 0 lifts the limit. Four times as many may come at once.
    pub reads_per_second: u32,
    /// Writes of one tenant in a second; 0 lifts the limit. Four times as many may come at once.
    pub writes_per_second: u32,
    /// Lists of one tenant in a second that no exact filter narrows; 0 lifts the limit. Four times as many at once.
    pub heavy_lists_per_second: u32,
    /// Credentials of those nobody knows that are looked at in a second; 0 lifts the limit. Four times as many at once.
    pub strangers_per_second: u32,
    /// Requests of one tenant that are worked on at once.
    pub tenant_concurrency: usize,
    /// Requests of all tenants that are worked on at once.
    pub concurrency: usize,
    /// How long a request waits for its turn.
    #[serde(with = "humantime_serde")]
    pub queue_time: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: String::new(),
            tls: None,
            plaintext: Plaintext::Refused,
            basic: false,
            oauth: OAuth::default(),
            identity_store: TransportConfig::default(),
            role_resolver: TransportConfig::default(),
            limits: Limits::default(),
            http: HttpLimits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            user_body: 1 << 20,
            group_body: 8 << 20,
            bulk_body: 8 << 20,
            request_time: Duration::from_secs(30),
            catalogue_wait: Duration::from_secs(15),
            cache_time: Duration::from_secs(5),
            reads_per_second: 100,
            writes_per_second: 50,
            heavy_lists_per_second: 5,
            strangers_per_second: 20,
            tenant_concurrency: 16,
            concurrency: 64,
            queue_time: Duration::from_secs(1),
        }
    }
}

impl Validate for Config {
    fn validate(&self, problems: &mut Problems) {
        let url = self.public_url.parse::<http::Uri>().ok();
        let sound = url.is_some_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https")) && url.authority().is_some() && url.query().is_none()
        });
        problems.require(
            self.public_url.is_empty() || sound,
            "public_url",
            "it is not a URL",
            "a URL such as \"https://rolecall.example.com\", or nothing",
        );
        if let Some(tls) = &self.tls {
            problems.section("tls", tls);
        }
        let local = self.listen.ip().is_loopback();
        problems.require(
            local || self.tls.is_some() || self.plaintext == Plaintext::Allowed,
            "tls",
            "tokens would cross the network unencrypted",
            "a certificate, a loopback address to listen on, or plaintext = \"allowed\" where a proxy in front encrypts",
        );
        problems.require(
            local || !self.basic,
            "basic",
            "HTTP Basic would be offered beyond this machine",
            "false, or a loopback address to listen on",
        );
        let hours = Duration::from_hours(1)..=Duration::from_hours(6);
        problems.require(
            hours.contains(&self.oauth.access_token_lifetime),
            "oauth.access_token_lifetime",
            "identity providers expect access tokens that live neither shorter nor longer",
            "\"1h\" to \"6h\"",
        );
        problems.section("identity_store", &self.identity_store);
        problems.section("role_resolver", &self.role_resolver);
        problems.section("limits", &self.limits);
        problems.section("http", &self.http);
    }
}

impl Validate for Limits {
    fn validate(&self, problems: &mut Problems) {
        for (key, size) in [
            ("user_body", self.user_body),
            ("group_body", self.group_body),
            ("bulk_body", self.bulk_body),
            ("tenant_concurrency", self.tenant_concurrency),
            ("concurrency", self.concurrency),
        ] {
            problems.require(size > 0, key, "every request would be refused", "at least 1");
        }
        for (key, time) in [("request_time", self.request_time), ("catalogue_wait", self.catalogue_wait)] {
            problems.require(!time.is_zero(), key, "no request is that fast", "a duration such as \"30s\"");
        }
        problems.require(
            self.cache_time <= Duration::from_secs(10),
            "cache_time",
            "a revoked token would stay good for longer than promised",
            "at most \"10s\"",
        );
    }
}
