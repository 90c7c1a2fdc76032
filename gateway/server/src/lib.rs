//! The gateway: the SCIM 2.0 face of Rolecall (RFC 7643, RFC 7644) over HTTP.
//!
//! It holds no state. A request passes `face` (request id, deadline, token, rates, a turn), reaches a handler of
//! `users`, `groups`, `roles` or `discovery`, is read by the crate `scim`, judged by `guardrail`, and stored or answered by
//! identity-store. `resource` writes what goes back; `scim_error` what is refused.
//!
//! No personal data enters logs, traces or metrics: they hold route templates, never paths, queries or bodies.

mod add_only;
mod admission;
mod auth;
mod bulk;
mod cache;
mod call;
mod caller;
mod config;
mod contention;
mod convert;
mod discovery;
mod face;
mod groups;
mod guard;
mod guardrail;
mod list;
mod oauth;
mod query;
mod rate;
mod reply;
mod resource;
mod respond;
mod roles;
mod scim_error;
mod search;
mod strangers;
mod tenant;
mod upstream;
mod users;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any, get, post};
use domain::clock::Clock;
use domain::id::TenantId;
use domain::token::FixedToken;
use runtime::grpc::Transport;
use runtime::http_server::{self, HttpLimits};
use runtime::propagation::TraceLayer;
use runtime::telemetry::Metrics;
use runtime::tls::{ServerTls, TlsError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::{Config, Limits, OAuth};

use add_only::AddOnly;
use admission::Admission;
use auth::Authenticator;
use cache::Cache;
use call::Call;
use scim_error::Refusal;
use strangers::Strangers;
use tenant::Tenant;
use upstream::Upstream;

/// Where the SCIM endpoints begin.
pub const BASE_PATH: &str = "/scim/v2";

/// What all requests share.
#[derive(Debug)]
struct Gateway {
    upstream: Upstream,
    authenticator: Authenticator,
    admission: Admission,
    tenants: Cache<TenantId, Tenant>,
    limits: Limits,
    strangers: Arc<Strangers>,
    add_only: AddOnly,
    access_token_lifetime: Duration,
    /// Whether HTTP Basic is accepted, for tenants in development.
    basic: bool,
    clock: Clock,
    /// The configured URL without a path, if there is one.
    public_origin: Option<String>,
    scheme: &'static str,
}

impl Gateway {
    /// The base URL without a trailing slash: the configured one, else where the client believes to be.
    fn base(&self, call: &Call) -> String {
        format!("{}{BASE_PATH}", self.origin(call.host()))
    }

    /// Scheme and host: the configured ones, else those the client believes to talk to.
    fn origin(&self, host: Option<&str>) -> String {
        match (&self.public_origin, host) {
            (Some(origin), _) => origin.clone(),
            (None, Some(host)) => format!("{}://{host}", self.scheme),
            (None, None) => String::new(),
        }
    }
}

/// The gateway, ready to serve.
#[derive(Debug)]
pub struct App {
    router: Router,
    http: HttpLimits,
    tls: Option<ServerTls>,
    metrics: Metrics,
}

/// What the gateway is put together from, besides its configuration.
#[derive(Debug)]
pub struct Parts {
    /// The way to identity-store.
    pub identity_store: Transport,
    /// The way to role-resolver.
    pub role_resolver: Transport,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// A token that is good without being issued: for development alone.
    pub fixed_token: Option<FixedToken>,
    /// Where the time comes from.
    pub clock: Clock,
}

/// Puts the gateway together. Nothing is asked of the other parts before the first request.
#[must_use]
pub fn build(config: &Config, parts: Parts) -> App {
    let Parts { identity_store, role_resolver, metrics, fixed_token, clock } = parts;
    let upstream = Upstream::new(&identity_store, &role_resolver);
    let public = config.public_url.trim_end_matches('/');
    let strangers = Arc::new(Strangers::new(config.limits.strangers_per_second, &metrics));
    let authenticator = Authenticator::new(auth::Parts {
        upstream: upstream.clone(),
        keep: config.limits.cache_time,
        fixed: fixed_token,
        strangers: Arc::clone(&strangers),
        clock: clock.clone(),
        basic: config.basic,
    });
    let gateway = Gateway {
        authenticator,
        upstream,
        strangers,
        add_only: AddOnly::new(&metrics),
        access_token_lifetime: config.oauth.access_token_lifetime,
        basic: config.basic,
        clock,
        admission: Admission::new(&config.limits),
        tenants: Cache::new(config.limits.cache_time),
        limits: config.limits.clone(),
        public_origin: (!public.is_empty()).then(|| public.to_owned()),
        scheme: if config.tls.is_some() { "https" } else { "http" },
    };
    App { router: router(Arc::new(gateway), &metrics), http: config.http.clone(), tls: config.tls.clone(), metrics }
}

impl App {
    /// The routes with everything around them, to be called without a listener.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Serves until `shutdown`, then finishes what is under way. Fails only if the certificate cannot be read.
    pub async fn run(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), TlsError> {
        let Self { router, http, tls, metrics } = self;
        let tls = tls.map(|tls| tls.load()).transpose()?;
        let service =
            tower::ServiceExt::map_request(router, |request: http::Request<_>| request.map(axum::body::Body::new));
        http_server::serve(listener, service, http, tls, &metrics, shutdown).await;
        Ok(())
    }
}

/// What is served below [`BASE_PATH`], all of it to holders of a good token alone.
fn routes() -> Vec<(&'static str, MethodRouter<Arc<Gateway>>)> {
    vec![
        ("/Users", get(users::list).post(users::create)),
        ("/Users/.search", post(users::search)),
        ("/Users/{id}", get(users::get).put(users::put).patch(users::patch).delete(users::delete)),
        ("/Groups", get(groups::list).post(groups::create)),
        ("/Groups/.search", post(groups::search)),
        ("/Groups/{id}", get(groups::get).put(groups::put).patch(groups::patch).delete(groups::delete)),
        ("/Roles", get(roles::list)),
        ("/Roles/.search", post(roles::search)),
        ("/Roles/{id}", get(roles::get)),
        ("/ServiceProviderConfig", get(discovery::config)),
        ("/ResourceTypes", get(discovery::all_resource_types)),
        ("/ResourceTypes/{id}", get(discovery::resource_type)),
        ("/Schemas", get(discovery::all_schemas)),
        ("/Schemas/{id}", get(discovery::schema)),
        ("/.search", post(search::search)),
        ("/Bulk", post(bulk::bulk)),
        ("/Me", any(me)),
    ]
}

fn router(gateway: Arc<Gateway>, metrics: &Metrics) -> Router {
    let add = |router: Router<Arc<Gateway>>, (path, methods): (&str, MethodRouter<Arc<Gateway>>)| {
        let path = format!("{BASE_PATH}{path}");
        router.route(&format!("{path}/"), methods.clone()).route(&path, methods)
    };
    let closed = routes()
        .into_iter()
        .fold(Router::new(), add)
        .fallback(nowhere)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(Arc::clone(&gateway), face::surround));
    let open = oauth::routes().layer(from_fn_with_state(Arc::clone(&gateway), face::open));
    closed.merge(open).layer(TraceLayer::new("gateway", metrics)).with_state(gateway)
}

/// RFC 7644 section 3.11: a token stands for an identity provider, not for a user.
async fn me() -> Refusal {
    scim::Error::not_implemented("a token stands for an identity provider, so there is no /Me").into()
}

async fn nowhere() -> Refusal {
    scim::Error::not_found("endpoint").into()
}

async fn not_allowed() -> Refusal {
    scim::Error::new(405, "this endpoint does not have that method; the Allow header names those it has").into()
}

#[cfg(test)]
mod tests;
