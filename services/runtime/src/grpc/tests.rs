//! What the gRPC stack promises, over the network and in the process alike.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Service, ServiceExt};

use super::*;
use crate::error::{Error, Reason};
use crate::http_server::{self, HttpLimits};
use crate::peer::{Caller, PeerSecret};
use crate::telemetry::Metrics;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A service that answers with who it thinks calls, or never.
#[derive(Clone)]
struct Probe;

impl NamedService for Probe {
    const NAME: &'static str = "test.v1.Probe";
}

impl Service<Request> for Probe {
    type Response = Response;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Box::pin(async move {
            if request.uri().path().ends_with("/Never") {
                std::future::pending::<()>().await;
            }
            if request.uri().path().ends_with("/Long") {
                let error = Error::new(Reason::LABEL_UNMATCHED, "é".repeat(100_000)).with("labels", "x".repeat(8_000));
                return Ok(Status::from(error).into_http());
            }
            let caller = request.extensions().get::<Caller>().cloned();
            Ok(Status::failed_precondition(format!("{caller:?}")).into_http())
        })
    }
}

struct Running {
    server: Server,
    address: SocketAddr,
    metrics: Metrics,
    _stop: DropGuard,
}

impl Running {
    async fn start() -> Self {
        let metrics = Metrics::new();
        let server = Server::builder(PeerSecret::new(SECRET), &metrics).service(Probe).build().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (service, stopped, counted) = (server.network(), stop.clone(), metrics.clone());
        tokio::spawn(async move {
            http_server::serve(listener, service, HttpLimits::peers(), None, &counted, stopped).await;
        });
        Self { server, address, metrics, _stop: stop.drop_guard() }
    }

    fn over_network(&self, secret: &str) -> Transport {
        connect(self.address, secret, &self.metrics)
    }
}

fn connect(address: SocketAddr, secret: &str, metrics: &Metrics) -> Transport {
    let config = TransportConfig { uri: format!("http://{address}"), ..TransportConfig::default() };
    Transport::connect(&config, &PeerSecret::new(secret), metrics).unwrap()
}

/// Waits until `holds`, and fails if that takes far too long.
async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came about");
}

/// Calls a method of [`Probe`] with an empty message.
async fn probe(transport: Transport, method: &str) -> Status {
    let request = http::Request::post(format!("http://x/test.v1.Probe/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::empty())
        .unwrap();
    let response = transport.oneshot(request).await.unwrap();
    Status::from_header_map(response.headers()).expect("a status without a body")
}

#[tokio::test]
async fn a_generated_client_works_over_the_network_and_in_the_process() {
    let running = Running::start().await;
    for transport in [running.over_network(SECRET), running.server.in_process()] {
        let mut health = HealthClient::new(transport).max_decoding_message_size(MAX_MESSAGE_BYTES);
        for name in ["", "test.v1.Probe"] {
            let check = HealthCheckRequest { service: name.to_owned() };
            running.server.set_serving(true).await;
            assert_eq!(health.check(check.clone()).await.unwrap().into_inner().status, 1, "{name}");
            running.server.set_serving(false).await;
            assert_eq!(health.check(check).await.unwrap().into_inner().status, 2, "{name}");
        }
        let unknown = HealthCheckRequest { service: "nobody".to_owned() };
        assert_eq!(health.check(unknown).await.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test]
async fn a_stream_runs_over_both_shapes() {
    let running = Running::start().await;
    for transport in [running.over_network(SECRET), running.server.in_process()] {
        let check = HealthCheckRequest { service: String::new() };
        let mut watch = HealthClient::new(transport).watch(check).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
        running.server.set_serving(false).await;
        assert_eq!(watch.message().await.unwrap().unwrap().status, 2);
        running.server.set_serving(true).await;
    }
}

#[tokio::test]
async fn a_caller_is_a_peer_in_the_process_or_by_the_secret_and_nobody_else_is() {
    let running = Running::start().await;
    let ask = async |transport| probe(transport, "Who").await.message().to_owned();
    assert_eq!(ask(running.server.in_process()).await, "Some(Peer)");
    assert_eq!(ask(running.over_network(SECRET)).await, "Some(Peer)");
    assert_eq!(ask(running.over_network("rlc_some_tenant's_token")).await, "Some(Bearer(…))");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_ends_as_deadline_exceeded_in_the_process() {
    let metrics = Metrics::new();
    let server = Server::builder(PeerSecret::new(SECRET), &metrics).service(Probe).build().await.unwrap();
    let begun = tokio::time::Instant::now();
    let status = probe(server.in_process().with_timeout(Duration::from_secs(3)), "Never").await;
    assert_eq!(Error::from_status(&status).reason(), Reason::DEADLINE_EXCEEDED);
    assert_eq!(begun.elapsed().as_secs(), 3);
}

#[tokio::test]
async fn a_call_that_takes_too_long_ends_as_deadline_exceeded_over_the_network() {
    let running = Running::start().await;
    let status = probe(running.over_network(SECRET).with_timeout(Duration::from_millis(20)), "Never").await;
    assert_eq!(Error::from_status(&status).reason(), Reason::DEADLINE_EXCEEDED);
}

#[tokio::test]
async fn a_part_that_cannot_be_reached_or_hangs_up_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Metrics::new();
    let mut health = HealthClient::new(connect(address, SECRET, &metrics));
    let (status, ()) = tokio::join!(health.check(HealthCheckRequest::default()), async {
        drop(listener.accept().await.unwrap());
        drop(listener);
    });
    assert_eq!(status.unwrap_err().code(), Code::Unavailable);
    assert_eq!(health.check(HealthCheckRequest::default()).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_lost_part_is_reached_again_when_it_is_back() {
    let running = Running::start().await;
    let address = running.address;
    let mut health = HealthClient::new(running.over_network(SECRET));
    health.check(HealthCheckRequest::default()).await.unwrap();
    drop(running);
    eventually(async || health.check(HealthCheckRequest::default()).await.is_err()).await;
    let metrics = Metrics::new();
    let server = Server::builder(PeerSecret::new(SECRET), &metrics).build().await.unwrap();
    // The old listener is let go of by a task of its own.
    let mut listener = None;
    eventually(async || {
        listener = TcpListener::bind(address).await.ok();
        listener.is_some()
    })
    .await;
    let listener = listener.unwrap();
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    tokio::spawn(async move {
        http_server::serve(listener, server.network(), HttpLimits::peers(), None, &metrics, stop).await;
    });
    eventually(async || health.check(HealthCheckRequest::default()).await.is_ok()).await;
}

#[tokio::test]
async fn every_call_is_counted_once_by_how_it_ended_and_no_caller_invents_labels() {
    let running = Running::start().await;
    let transport = running.over_network(SECRET);
    HealthClient::new(transport.clone()).check(HealthCheckRequest::default()).await.unwrap();
    probe(transport.clone(), "Who").await;
    // A call that is dropped while it waits.
    let mut never = Box::pin(probe(running.server.in_process(), "Never"));
    assert!(futures_util::poll!(&mut never).is_pending());
    drop(never);

    let text = running.metrics.encode();
    let health = r#"service="grpc.health.v1.Health",route="Check",code="OK"} 1"#;
    assert!(text.contains(&format!("rolecall_server_requests_total{{{health}")), "{text}");
    assert!(text.contains(&format!("rolecall_client_requests_total{{{health}")), "{text}");
    let unknown = r#"rolecall_server_requests_total{service="unknown",route="unknown",code="#;
    assert!(text.contains(&format!(r#"{unknown}"FAILED_PRECONDITION"}} 1"#)), "{text}");
    assert!(text.contains(&format!(r#"{unknown}"cancelled"}} 1"#)), "{text}");
}

#[tokio::test]
async fn a_path_that_is_nobodys_is_unimplemented() {
    let running = Running::start().await;
    let request = http::Request::post("http://x/no.Such/Thing").body(Body::empty()).unwrap();
    let response = running.server.in_process().oneshot(request).await.unwrap();
    assert_eq!(Status::from_header_map(response.headers()).unwrap().code(), Code::Unimplemented);
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn the_longest_error_there_is_passes_over_the_network() {
    let running = Running::start().await;
    let error = Error::from_status(&probe(running.over_network(SECRET), "Long").await);
    assert_eq!(error.reason(), Reason::LABEL_UNMATCHED);
    assert_eq!(error.get("labels").map(str::len), Some(8_000));
}

#[tokio::test]
async fn reflection_names_the_services_that_are_served_and_no_others() {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let running = Running::start().await;
    let list = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut reflection = ServerReflectionClient::new(running.server.in_process());
    let mut answers = reflection.server_reflection_info(futures_util::stream::iter([list])).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("not a list");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, [Probe::NAME, "grpc.health.v1.Health"]);
}
