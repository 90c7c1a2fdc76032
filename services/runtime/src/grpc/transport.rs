//! The client side: what every generated client is made over, whether the part it calls is in this process or not.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Extensions, HeaderValue, Uri};
use http_body_util::BodyExt;
use serde::Deserialize;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, TimeoutExpired};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt};
use tracing::Instrument;

use super::server::{call_span, record, too_late};
use super::{Request, Response, deadline};
use crate::config::{Problems, Validate};
use crate::error::{Error, Reason};
use crate::peer::PeerSecret;
use crate::propagation::inject_trace;
use crate::telemetry::{Label, Metrics, RequestMetrics};
use crate::tls::{ClientTls, TlsError};

/// How long a call may take that says nothing about it.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a part is, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransportConfig {
    /// The address, for example `http://identity-store:9090`; `https` with TLS.
    pub uri: String,
    /// Whom to trust, for `https`.
    pub tls: Option<ClientTls>,
    /// How long a call may take that says nothing about it.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long a connection may take to come about.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self { uri: String::new(), tls: None, timeout: CALL_TIMEOUT, connect_timeout: Duration::from_secs(2) }
    }
}

impl Validate for TransportConfig {
    fn validate(&self, problems: &mut Problems) {
        let uri = self.uri.parse::<Uri>().ok();
        let scheme = uri.as_ref().filter(|uri| uri.authority().is_some()).and_then(Uri::scheme_str);
        let right = "an address such as \"http://identity-store:9090\"";
        match (scheme, &self.tls) {
            (Some("http"), None) | (Some("https"), Some(_)) => {}
            (Some("http"), Some(_)) => problems.add("uri", "`tls` is set but the scheme is http", "an https address"),
            (Some("https"), None) => problems.add("tls", "it is missing", "`ca_file`, for an https address"),
            _ => problems.add("uri", "it is missing or not an address", right),
        }
        if let Some(tls) = &self.tls {
            problems.section("tls", tls);
        }
        for (key, time) in [("timeout", self.timeout), ("connect_timeout", self.connect_timeout)] {
            problems.require(!time.is_zero(), key, "no call is that fast", "a duration such as \"10s\"");
        }
    }
}

/// A transport could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The address cannot be used.
    #[error("the address of a part cannot be used")]
    Address(#[from] tonic::transport::Error),
    /// TLS cannot be set up.
    #[error("TLS to a part cannot be set up")]
    Tls(#[from] TlsError),
    /// The peers' secret cannot stand in a header.
    #[error("the secret between parts holds characters that cannot travel in a header")]
    Secret,
}

/// What a generated client is made over: `IdentityClient::new(transport)`. Cheap to clone.
///
/// Every call gets a deadline. Over the network it also presents the peers' secret, carries the trace on, is counted,
/// and a connection that fails or breaks answers `UNAVAILABLE`.
#[derive(Clone, Debug)]
pub struct Transport {
    service: BoxCloneSyncService<Request, Response, BoxError>,
    network: Option<Arc<Network>>,
    here: Extensions,
    timeout: Duration,
}

#[derive(Debug)]
struct Network {
    authorization: HeaderValue,
    metrics: RequestMetrics,
}

impl Transport {
    /// A transport over the network. Nothing is connected before the first call; a lost connection is made anew.
    ///
    /// Must be called inside a Tokio runtime.
    pub fn connect(config: &TransportConfig, secret: &PeerSecret, metrics: &Metrics) -> Result<Self, TransportError> {
        let mut endpoint = Endpoint::from_shared(config.uri.clone())?
            .connect_timeout(config.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_mins(1)))
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10))
            .http2_adaptive_window(true)
            .http2_max_header_list_size(64 * 1024);
        if let Some(tls) = &config.tls {
            endpoint = endpoint.tls_config(tls.load()?)?;
        }
        let authorization = secret.header().ok_or(TransportError::Secret)?;
        Ok(Self::over(endpoint.connect_lazy(), authorization, metrics).with_timeout(config.timeout))
    }

    fn over(channel: Channel, authorization: HeaderValue, metrics: &Metrics) -> Self {
        Self {
            service: BoxCloneSyncService::new(channel.map_err(BoxError::from)),
            network: Some(Arc::new(Network { authorization, metrics: metrics.client().clone() })),
            here: Extensions::new(),
            timeout: CALL_TIMEOUT,
        }
    }

    /// A transport that calls `service` itself: a [`super::Server`]'s stack, or a generated server in a test.
    pub fn in_process<S>(service: S) -> Self
    where
        S: Service<Request, Response = Response> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
    {
        Self {
            service: BoxCloneSyncService::new(service.map_err(Into::into)),
            network: None,
            here: Extensions::new(),
            timeout: CALL_TIMEOUT,
        }
    }

    pub(super) fn with_services(mut self, here: Extensions) -> Self {
        self.here = here;
        self
    }

    /// The service of this type that stands in this process, to be called through its trait: nothing is encoded, and
    /// what is around each call is the same ([`Within`](super::Within)). `None` if it is elsewhere, or if this transport
    /// has a deadline of its own.
    #[must_use]
    pub fn here<S: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<S>> {
        self.here.get::<Arc<S>>().filter(|_| self.timeout == CALL_TIMEOUT).cloned()
    }

    /// The same transport with another deadline for calls that set none.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Service<Request> for Transport {
    type Response = Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.service.poll_ready(cx) {
            // A channel that cannot connect says so here.
            Poll::Ready(Err(error)) => Poll::Ready(Err(broken(&error).into())),
            ready => ready,
        }
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let timeout = deadline::ensure(request.headers_mut(), self.timeout);
        let Some(network) = &self.network else { return self.service.call(request) };
        let path = request.uri().path().trim_start_matches('/');
        let (service, method) = path.split_once('/').unwrap_or((path, ""));
        let recorder = network.metrics.start(Label::from(service), Label::from(method));
        let span = call_span(path, "client");
        inject_trace(&span, request.headers_mut());
        request.headers_mut().insert(AUTHORIZATION, network.authorization.clone());
        let answer = self.service.call(request);
        let of_call = span.clone();
        Box::pin(
            async move {
                let response = match tokio::time::timeout(timeout, answer).await {
                    Ok(Ok(response)) => response.map(|body| Body::new(body.map_err(broken_body))),
                    Ok(Err(error)) => broken(&error).into_http(),
                    Err(_) => Status::from(too_late()).into_http(),
                };
                Ok(record(response, recorder, &of_call))
            }
            .instrument(span),
        )
    }
}

/// What a caller learns of a connection that failed. Whether the call took effect is not known.
fn broken(error: &BoxError) -> Status {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
    while let Some(error) = cause {
        if error.is::<TimeoutExpired>() {
            return too_late().into();
        }
        cause = error.source();
    }
    tracing::debug!(error = %crate::error::Chain(&**error), "a connection to another part failed");
    Error::new(Reason::UNAVAILABLE, "the connection to the part that answers this failed").into()
}

fn broken_body(status: Status) -> Status {
    match status.code() {
        Code::Unavailable => status,
        _ => broken(&status.into()),
    }
}
