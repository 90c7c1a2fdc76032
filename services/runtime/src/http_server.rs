//! The accept loop that all HTTP and gRPC listeners share.
//!
//! A connection costs memory before it has said anything, so each has limits from its first moment: how many there are
//! in all and from one address, how long a request's header may take, how long a connection may stay idle, how many
//! streams and header bytes it may use. On shutdown, idle connections close and requests under way are finished.

mod activity;
mod connection;
mod limits;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{BoxError, Service};

use crate::telemetry::Metrics;

pub use limits::HttpLimits;

use limits::Admission;

/// How long to wait after an error that says this process is out of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The other end of the connection a request came over, in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// Serves HTTP/1.1 and HTTP/2 on `listener` until `shutdown`; then refuses new connections, lets requests under way
/// finish, and returns when the last connection has closed. The deadline for that is the caller's.
///
/// How long a whole request may take is the service's own business.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    limits: HttpLimits,
    tls: Option<Arc<rustls::ServerConfig>>,
    metrics: &Metrics,
    shutdown: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let admission = Admission::new(&limits, metrics);
    let connections = TaskTracker::new();
    let tls = tls.map(TlsAcceptor::from);
    let builder = Arc::new(connection::builder(&limits));
    let limits = Arc::new(limits);
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !is_about_one_connection(&error) {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        let Some(admitted) = admission.admit(peer.ip()) else { continue };
        // Only a socket that is already gone refuses this.
        let _ = stream.set_nodelay(true);
        let (service, tls, shutdown) = (service.clone(), tls.clone(), shutdown.clone());
        let (builder, limits) = (Arc::clone(&builder), Arc::clone(&limits));
        connections.spawn(async move {
            match tls {
                None => connection::serve(stream, peer, service, &builder, &limits, shutdown).await,
                Some(tls) => match tokio::time::timeout(limits.tls_handshake_timeout, tls.accept(stream)).await {
                    Ok(Ok(stream)) => connection::serve(stream, peer, service, &builder, &limits, shutdown).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake took too long"),
                },
            }
            drop(admitted);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn is_about_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests;
