//! HTTP towards Fluent: bounded in time and size, no redirect followed. A secret goes to the address configured, or nowhere.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::error::Cause;

/// How long one request may take, its answer included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept: shorter than what load balancers commonly keep theirs.
const IDLE: Duration = Duration::from_secs(30);

/// The connections to Fluent, shared by all tenants. Clones are the same.
#[derive(Clone)]
pub struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http(…)")
    }
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The machine's trusted certificates can't be used.
#[derive(Debug, thiserror::Error)]
#[error("TLS towards Fluent cannot be set up")]
pub struct TlsError(#[source] std::io::Error);

impl Http {
    /// Connections that trust the machine's certificate authorities; where it has none, Mozilla's.
    pub fn new() -> Result<Self, TlsError> {
        let provider = rustls::crypto::aws_lc_rs::default_provider;
        let builder = match HttpsConnectorBuilder::new().with_provider_and_native_roots(provider()) {
            Ok(builder) => builder,
            Err(_) => HttpsConnectorBuilder::new()
                .with_provider_and_webpki_roots(provider())
                .map_err(|error| TlsError(std::io::Error::other(error)))?,
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(builder.https_or_http().enable_http1().wrap_connector(tcp));
        Ok(Self { client, timeout: TIMEOUT })
    }

    /// The same connections with another time limit for a request.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sends a request and reads its answer, of which at most `limit` bytes are accepted.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>, limit: usize) -> Result<Answer, Cause> {
        let exchange = async {
            let response = self
                .client
                .request(request)
                .await
                .map_err(|error| if error.is_connect() { Cause::Connect } else { Cause::Broken })?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, limit)
                .collect()
                .await
                .map_err(|error| if error.is::<LengthLimitError>() { Cause::TooLarge } else { Cause::Broken })?;
            Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or(Err(Cause::Timeout))
    }
}
