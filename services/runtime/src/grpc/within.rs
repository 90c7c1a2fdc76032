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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proto::anywhere::Surrounded;
    use proto::identity::v1::token_service_client::TokenServiceClient;
    use proto::identity::v1::token_service_server::{TokenService, TokenServiceServer};
    use proto::identity::v1::{
        IssueAccessTokenRequest, IssueAccessTokenResponse, VerifyTokenRequest, VerifyTokenResponse,
    };
    use tokio::time::Instant;

    use super::*;
    use crate::grpc::{Server, Transport};
    use crate::peer::PeerSecret;
    use crate::telemetry::Metrics;

    /// Answers, or says who calls, or never does.
    #[derive(Clone)]
    struct Tokens;

    #[tonic::async_trait]
    impl TokenService for Tokens {
        async fn verify_token(
            &self,
            request: Request<VerifyTokenRequest>,
        ) -> Result<Response<VerifyTokenResponse>, Status> {
            match request.get_ref().token.as_str() {
                "never" => std::future::pending().await,
                "who" => Err(Status::failed_precondition(format!("{:?}", Caller::of(&request)))),
                _ => Ok(Response::new(VerifyTokenResponse::default())),
            }
        }

        async fn issue_access_token(
            &self,
            _: Request<IssueAccessTokenRequest>,
        ) -> Result<Response<IssueAccessTokenResponse>, Status> {
            Err(Status::unimplemented("nobody asks"))
        }
    }

    async fn transport(metrics: &Metrics) -> Transport {
        let server = Server::builder(PeerSecret::new("0123456789abcdef0123456789abcdef"), metrics)
            .descriptors(proto::DESCRIPTORS)
            .service(TokenServiceServer::new(Tokens))
            .here::<dyn TokenService>(|around| Arc::new(Surrounded { service: Tokens, around }));
        server.build().await.unwrap().in_process()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_through_the_trait_is_counted_comes_from_a_peer_and_keeps_its_deadline_like_any_other() {
        let metrics = Metrics::new();
        let transport = transport(&metrics).await;
        let here = transport.here::<dyn TokenService>().unwrap();
        let client: Arc<dyn TokenService> = Arc::new(TokenServiceClient::new(transport));
        for tokens in [here, client] {
            let ask = |token: &str| Request::new(VerifyTokenRequest { token: token.to_owned() });
            assert!(tokens.verify_token(ask("good")).await.is_ok());
            let who = tokens.verify_token(ask("who")).await.unwrap_err();
            assert_eq!((who.code(), who.message()), (Code::FailedPrecondition, &*format!("{:?}", Caller::Peer)));
            for (deadline, hurried) in [(CALL_TIMEOUT, false), (Duration::from_millis(5), true)] {
                let mut request = ask("never");
                if hurried {
                    request.set_timeout(deadline);
                }
                let begun = Instant::now();
                assert_eq!(tokens.verify_token(request).await.unwrap_err().code(), Code::DeadlineExceeded);
                assert!((deadline..deadline * 2).contains(&begun.elapsed()));
            }
        }
        let text = metrics.encode();
        for (code, count) in [("OK", 2), ("FAILED_PRECONDITION", 2), ("DEADLINE_EXCEEDED", 4)] {
            let labels = format!(r#"service="rolecall.identity.v1.TokenService",route="VerifyToken",code="{code}""#);
            assert!(text.contains(&format!("rolecall_server_requests_total{{{labels}}} {count}")), "{text}");
        }
    }

    #[tokio::test]
    async fn a_transport_with_a_deadline_of_its_own_goes_the_way_that_keeps_it() {
        let transport = transport(&Metrics::new()).await;
        assert!(transport.with_timeout(Duration::from_secs(1)).here::<dyn TokenService>().is_none());
    }
}
