//! Several processes over one database, called as one store.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use runtime::grpc::Transport;
use tonic::body::Body;
use tower::util::Oneshot;
use tower::{BoxError, Service, ServiceExt as _};

/// A transport that sends each call to the next of `replicas`, in turn: what one process keeps to itself, the next call
/// does not find.
///
/// # Panics
///
/// Without a replica.
#[must_use]
pub fn in_turn(replicas: Vec<Transport>) -> Transport {
    assert!(!replicas.is_empty(), "a store has at least one replica");
    Transport::in_process(InTurn { replicas: replicas.into(), calls: Arc::default() })
}

#[derive(Clone)]
struct InTurn {
    replicas: Arc<[Transport]>,
    calls: Arc<AtomicUsize>,
}

impl Service<http::Request<Body>> for InTurn {
    type Response = http::Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<Oneshot<Transport, http::Request<Body>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let turn = self.calls.fetch_add(1, Ordering::Relaxed);
        Box::pin(self.replicas[turn % self.replicas.len()].clone().oneshot(request))
    }
}
