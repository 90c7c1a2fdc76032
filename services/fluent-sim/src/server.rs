//! The HTTP server: connections, routes, and answers that break off.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::config::SimConfig;
use crate::sim::Sim;
use crate::{control, endpoints};

/// A running simulator. Dropping it leaves the server running until the runtime ends; [`Self::shutdown`] ends it.
#[derive(Debug)]
pub struct SimHandle {
    /// The root URL, without a slash at the end, such as `http://127.0.0.1:41234`.
    pub url: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// The account itself.
    pub sim: Sim,
    tasks: TaskTracker,
}

/// Put into the extensions of a response which must not be sent: the connection is dropped instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoAnswer;

/// A connection that ends without an answer, as asked for.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped on purpose")]
struct Dropped;

// === impl Sim ===

impl Sim {
    /// Serves a new account on `listener`, HTTP/1.1 and HTTP/2 without TLS, until [`SimHandle::shutdown`].
    ///
    /// # Errors
    /// If the listener has no address.
    #[expect(clippy::unused_async, reason = "it needs a runtime, and callers should see that")]
    pub async fn start(listener: TcpListener, config: SimConfig) -> io::Result<SimHandle> {
        let address = listener.local_addr()?;
        let sim = Self::new(config);
        let router = Router::new()
            .route("/oauth/token", post(endpoints::token))
            .route("/graphql", post(endpoints::graphql))
            .nest("/_sim", control::router())
            .with_state(sim.clone());
        let tasks = TaskTracker::new();
        tasks.spawn(accept(listener, router, sim.clone(), tasks.clone()));
        tasks.close();
        Ok(SimHandle { url: format!("http://{address}"), address, sim, tasks })
    }
}

// === impl SimHandle ===

impl SimHandle {
    /// Stops listening, drops all connections, and returns once all tasks have ended.
    pub async fn shutdown(self) {
        self.sim.shared.stop.cancel();
        self.tasks.wait().await;
    }
}

async fn accept(listener: TcpListener, router: Router, sim: Sim, tasks: TaskTracker) {
    let stop = sim.shared.stop.clone();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = serve(stream, router.clone());
                tasks.spawn(stop.clone().run_until_cancelled_owned(connection));
            }
            Err(error) => {
                // Out of descriptors, most likely: others must be closed first.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    // Without it small answers may wait; a socket that refuses is served all the same.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let answered: Result<Response<Body>, Infallible> = router.oneshot(request).await;
            let Ok(response) = answered;
            if response.extensions().get::<NoAnswer>().is_some() { Err(Dropped) } else { Ok(response) }
        }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(error = %error, "a connection ended early");
    }
}
