//! The admin listener: liveness, readiness and metrics, on a thread and runtime of its own, so that they answer while
//! everything else is busy.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::RwLock;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::http_server::{self, HttpLimits};
use crate::telemetry::Metrics;

/// What must hold for this process to take requests: named checks. Clones are the same checks.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<RwLock<BTreeMap<&'static str, Check>>>);

#[derive(Clone, Debug, Serialize)]
struct Check {
    ready: bool,
    message: String,
}

#[derive(Serialize)]
struct Report {
    ready: bool,
    checks: BTreeMap<&'static str, Check>,
}

impl Readiness {
    /// Sets a check; `message` says why in words that hold no data, for example `the catalogue has not been read yet`.
    pub fn set(&self, name: &'static str, ready: bool, message: impl Into<String>) {
        self.0.write().insert(name, Check { ready, message: message.into() });
    }

    /// Whether every check holds. Without any check the answer is no.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let checks = self.0.read();
        !checks.is_empty() && checks.values().all(|check| check.ready)
    }

    fn report(&self) -> Report {
        let checks = self.0.read().clone();
        Report { ready: !checks.is_empty() && checks.values().all(|check| check.ready), checks }
    }
}

/// The running admin listener; it stops when this is dropped.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Serves `/livez`, `/readyz` and `/metrics` on `listener`.
    pub fn start(listener: std::net::TcpListener, readiness: Readiness, metrics: Metrics) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
            runtime.block_on(async move {
                match tokio::net::TcpListener::from_std(listener) {
                    // Its own connections are not worth counting among the process's.
                    Ok(listener) => {
                        let (routes, metrics) = (routes(readiness, metrics), Metrics::new());
                        let limits = HttpLimits::admin();
                        tokio::select! {
                            () = http_server::serve(listener, routes, limits, None, &metrics, stopped.clone()) => {}
                            () = cut_off(&stopped) => {}
                        }
                    }
                    Err(error) => tracing::error!(%error, "the admin listener cannot be served"),
                }
            });
        })?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

/// Nobody waits long for a scraper that has not finished.
async fn cut_off(stopped: &CancellationToken) {
    stopped.cancelled().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[derive(Clone)]
struct Shared {
    readiness: Readiness,
    metrics: Metrics,
}

fn routes(readiness: Readiness, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .with_state(Shared { readiness, metrics })
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let report = shared.readiness.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

async fn metrics_text(State(shared): State<Shared>) -> Response {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPENMETRICS)], shared.metrics.encode()).into_response()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn it_answers_without_the_main_runtime_and_names_what_is_not_ready() {
        let readiness = Readiness::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = Admin::start(listener, readiness.clone(), Metrics::new()).unwrap();
        assert!(get(admin.address(), "/livez").starts_with("HTTP/1.1 200"));
        assert!(get(admin.address(), "/readyz").starts_with("HTTP/1.1 503"), "ready before anyone said so");

        readiness.set("store", true, "open");
        readiness.set("catalogue", false, "not read yet");
        let answer = get(admin.address(), "/readyz");
        assert!(answer.starts_with("HTTP/1.1 503"));
        assert!(answer.contains(r#""catalogue":{"ready":false,"message":"not read yet"}"#), "{answer}");

        readiness.set("catalogue", true, "read");
        assert!(get(admin.address(), "/readyz").starts_with("HTTP/1.1 200"));
        assert!(get(admin.address(), "/metrics").contains("# EOF"));
        drop(admin);
    }
}
