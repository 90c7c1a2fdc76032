//! Spans of one request, seen from the collector: they arrive when telemetry ends, and form one trace from the caller's own
//! over HTTP and across parts.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http_body_util::BodyExt;
use runtime::grpc::{Server, Transport, TransportConfig};
use runtime::http_server::{HttpLimits, serve};
use runtime::peer::PeerSecret;
use runtime::propagation::TraceLayer;
use runtime::telemetry::{Metrics, TelemetryConfig, init};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Service, ServiceExt};

/// An OTLP collector that keeps what it is sent.
#[derive(Clone)]
struct Collector(mpsc::UnboundedSender<Vec<u8>>);

impl NamedService for Collector {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl Service<http::Request<Body>> for Collector {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let received = self.0.clone();
        Box::pin(async move {
            let bytes = request.into_body().collect().await.unwrap().to_bytes();
            received.send(bytes.to_vec()).unwrap();
            Ok(Status::ok("").into_http())
        })
    }
}

async fn listen(server: &Server, metrics: &Metrics) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let (service, metrics) = (server.network(), metrics.clone());
    tokio::spawn(async move {
        serve(listener, service, HttpLimits::peers(), None, &metrics, CancellationToken::new()).await;
    });
    uri
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_and_its_call_of_a_part_go_on_with_the_callers_trace_and_arrive_before_telemetry_ends() {
    let metrics = Metrics::new();
    let secret = PeerSecret::new("0123456789abcdef0123456789abcdef");
    let (received, mut batches) = mpsc::unbounded_channel();
    let collector = Server::builder(secret.clone(), &metrics).service(Collector(received)).build().await.unwrap();
    let config = TelemetryConfig {
        otlp_endpoint: Some(listen(&collector, &metrics).await),
        filter: "off,runtime=info".to_owned(),
        ..TelemetryConfig::default()
    };
    let guard = init(&config, "test").unwrap();

    let part = Server::builder(secret.clone(), &metrics).build().await.unwrap();
    let config = TransportConfig { uri: listen(&part, &metrics).await, ..TransportConfig::default() };
    let transport = Transport::connect(&config, &secret, &metrics).unwrap();
    let ask = async move || {
        HealthClient::new(transport.clone()).check(HealthCheckRequest::default()).await.unwrap();
    };
    let router = Router::new().route("/", get(ask)).layer(TraceLayer::new("face", &metrics));
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = http::Request::get("/").header("traceparent", traceparent).body(axum::body::Body::empty()).unwrap();
    assert_eq!(router.oneshot(request).await.unwrap().status(), http::StatusCode::OK);

    tokio::task::spawn_blocking(move || drop(guard)).await.unwrap();
    let (mut requests, mut calls) = (Vec::new(), Vec::new());
    while let Ok(batch) = batches.try_recv() {
        requests.extend(spans_named(b"GET /", &batch));
        calls.extend(spans_named(b"grpc.health.v1.Health/Check", &batch));
    }
    let trace: Arc<[u8]> = Arc::from(&0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes()[..]);
    assert_eq!(requests, [Arc::clone(&trace)], "the request");
    assert_eq!(calls, [Arc::clone(&trace), trace], "the call, as its caller and its server see it");
}

/// The trace ids of the spans of that name: in an OTLP span the trace id is field 1, 16 bytes, and the name field 5.
fn spans_named(name: &[u8], batch: &[u8]) -> Vec<Arc<[u8]>> {
    let name_field = [&[0x2a, u8::try_from(name.len()).unwrap()], name].concat();
    let ends = (0..batch.len()).filter(|at| batch[*at..].starts_with(&name_field));
    ends.map(|at| {
        let begin = batch[..at].windows(2).rposition(|tag| tag == [0x0a, 16]).expect("a trace id before the name");
        batch[begin + 2..begin + 18].into()
    })
    .collect()
}
