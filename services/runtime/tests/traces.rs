//! Spans of one request, seen from the collector: they arrive when telemetry ends, and form one trace across parts.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::BodyExt;
use runtime::grpc::{Server, Transport, TransportConfig};
use runtime::http_server::{HttpLimits, serve};
use runtime::peer::PeerSecret;
use runtime::telemetry::{Metrics, TelemetryConfig, init};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::Service;

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
async fn a_call_between_parts_is_one_trace_and_arrives_before_telemetry_ends() {
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
    HealthClient::new(transport).check(HealthCheckRequest::default()).await.unwrap();

    tokio::task::spawn_blocking(move || drop(guard)).await.unwrap();
    let mut spans = Vec::new();
    while let Ok(batch) = batches.try_recv() {
        spans.extend(spans_named(b"grpc.health.v1.Health/Check", &batch));
    }
    let traces: std::collections::BTreeSet<_> = spans.iter().cloned().collect();
    assert_eq!((spans.len(), traces.len()), (2, 1), "a client span and a server span, of one trace");
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
