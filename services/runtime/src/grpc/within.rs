//! What surrounds a call within the process that goes through its service's trait: the same as a server's stack has around
//! one that came over the network, without the network.

use std::future::Future;
use std::sync::Arc;

use proto::anywhere::Around;
use tonic::{Code, Request, Response, Status};
use tracing::Instrument;

use super::deadline;
use super::server::{Methods, finish, too_late};
use super::transport::CALL_TIMEOUT;
use crate::peer::Caller;
use crate::telemetry::RequestMetrics;

/// Says that a peer calls, opens a span, keeps the deadline and counts how each call ended.
#[derive(Clone, Debug)]
pub struct Within {
    methods: Arc<Methods>,
    metrics: RequestMetrics,
}

impl Within {
    pub(super) fn new(methods: Arc<Methods>, metrics: RequestMetrics) -> Self {
        Self { methods, metrics }
    }
}

impl Around for Within {
    async fn call<Q, A, F>(
        &self,
        path: &'static str,
        mut request: Request<Q>,
        service: impl FnOnce(Request<Q>) -> F + Send,
    ) -> Result<Response<A>, Status>
    where
        Q: Send,
        A: Send,
        F: Future<Output = Result<Response<A>, Status>> + Send,
    {
        let (span, recorder) = self.methods.begin(path, &self.metrics);
        request.extensions_mut().insert(Caller::Peer);
        let timeout = deadline::of(request.metadata().as_ref()).unwrap_or(CALL_TIMEOUT);
        let answer = tokio::time::timeout(timeout, service(request)).instrument(span.clone()).await;
        let answer = answer.unwrap_or_else(|_| Err(too_late().into()));
        finish(recorder, &span, answer.as_ref().map_or_else(Status::code, |_| Code::Ok));
        answer
    }
}
